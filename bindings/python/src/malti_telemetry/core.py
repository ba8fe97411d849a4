"""See `libmalti`."""

from libmalti._compat import TelemetrySystem, get_telemetry_system

__all__ = ["TelemetrySystem", "get_telemetry_system"]
