"""See `libmalti`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libmalti._compat.buffer import TelemetryBuffer
    from libmalti._compat.record import TelemetryRecord
    from libmalti._compat.sender import BatchSender
    from libmalti._compat.system import TelemetryCollector, TelemetrySystem, get_telemetry_system
    from libmalti._log import logger
else:
    from libmalti._compat import __getattr__  # noqa: F401

__all__ = [
    "BatchSender",
    "TelemetryBuffer",
    "TelemetryCollector",
    "TelemetryRecord",
    "TelemetrySystem",
    "get_telemetry_system",
    "logger",
]
