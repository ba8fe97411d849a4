"""The import names of malti-telemetry; all code is in the package `libmalti`."""

from libmalti import __version__
from libmalti._compat import (
    TelemetrySystem,
    configure_malti,
    get_malti_stats,
    get_telemetry_system,
)
from libmalti.asgi import MaltiMiddleware

__all__ = [
    "MaltiMiddleware",
    "TelemetrySystem",
    "configure_malti",
    "get_malti_stats",
    "get_telemetry_system",
]

# Which of the two distributions with this package is loaded.
__libmalti__ = __version__
