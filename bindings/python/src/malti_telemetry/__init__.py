"""The import names of malti-telemetry; all code is in the package `libmalti`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libmalti._compat.buffer import TelemetryBuffer
    from libmalti._compat.configuration import configure_malti
    from libmalti._compat.record import TelemetryRecord
    from libmalti._compat.sender import BatchSender
    from libmalti._compat.statistics import get_malti_stats
    from libmalti._compat.system import TelemetryCollector, TelemetrySystem, get_telemetry_system
    from libmalti.asgi import MaltiMiddleware

    #: The version. It tells which of the two distributions with this package is loaded.
    __libmalti__: str
else:
    from libmalti._compat import __getattr__  # noqa: F401

__all__ = [
    "BatchSender",
    "MaltiMiddleware",
    "TelemetryBuffer",
    "TelemetryCollector",
    "TelemetryRecord",
    "TelemetrySystem",
    "configure_malti",
    "get_malti_stats",
    "get_telemetry_system",
]
