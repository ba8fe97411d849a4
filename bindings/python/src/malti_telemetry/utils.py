"""See `libmalti`."""

from libmalti._compat import configure_malti, get_malti_stats

__all__ = ["configure_malti", "get_malti_stats"]
