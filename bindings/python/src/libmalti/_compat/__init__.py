"""The names of malti-telemetry 1.0.4, for applications that were written for it.

They do the same over the one native client of the process: what was an object with a buffer and a
task of its own there is a view of that client here. Times are whole milliseconds, as they were.
Nothing here raises where 1.0.4 did not.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """The one name that is not there from the start: making a dataclass costs more than loading all
    the rest.
    """
    if name == "TelemetryRecord":
        from .record import TelemetryRecord

        return TelemetryRecord
    raise AttributeError(f"no attribute {name!r} in the names of malti-telemetry")
