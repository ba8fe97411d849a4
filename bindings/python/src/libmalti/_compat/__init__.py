"""The names of malti-telemetry 1.0.4, for applications that were written for it.

They do the same over the one native client of the process: what was an object with a buffer and a
task of its own there is a view of that client here. Times are whole milliseconds, as they were.
Nothing here raises where 1.0.4 did not.
"""

from __future__ import annotations

from .. import _forks

_HOMES = {
    "BatchSender": "libmalti._compat.sender",
    "MaltiMiddleware": "libmalti.asgi",
    "TelemetryBuffer": "libmalti._compat.buffer",
    "TelemetryCollector": "libmalti._compat.system",
    "TelemetryRecord": "libmalti._compat.record",
    "TelemetrySystem": "libmalti._compat.system",
    "anonymize_ip": "libmalti._compat.addresses",
    "configure_malti": "libmalti._compat.configuration",
    "extract_ip_from_forwarded_for": "libmalti._compat.addresses",
    "get_malti_stats": "libmalti._compat.statistics",
    "get_telemetry_system": "libmalti._compat.system",
    "is_valid_ip": "libmalti._compat.addresses",
    "logger": "libmalti._log",
}


def __getattr__(name: str) -> object:
    """For the modules of that name: a name is imported when it is used."""
    if name == "__libmalti__":
        from .. import __version__

        return __version__
    if name not in _HOMES:
        raise AttributeError(f"no attribute {name!r} in the names of malti-telemetry")
    return _forks.attribute(_HOMES[name], name)
