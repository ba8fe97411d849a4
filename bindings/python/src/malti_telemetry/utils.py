"""See `libmalti`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libmalti._compat.addresses import anonymize_ip, extract_ip_from_forwarded_for, is_valid_ip
    from libmalti._compat.configuration import configure_malti
    from libmalti._compat.statistics import get_malti_stats
    from libmalti._compat.system import get_telemetry_system
    from libmalti._log import logger
else:
    from libmalti._compat import __getattr__  # noqa: F401

__all__ = [
    "anonymize_ip",
    "configure_malti",
    "extract_ip_from_forwarded_for",
    "get_malti_stats",
    "get_telemetry_system",
    "is_valid_ip",
    "logger",
]
