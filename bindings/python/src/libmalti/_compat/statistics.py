"""The counts, by the names that malti-telemetry gives them."""

from __future__ import annotations

from typing import Any

from .._client import client

_DROPPED = ("dropped_overflow", "dropped_rejected", "dropped_shutdown", "dropped_expired")


def buffer_stats() -> dict[str, Any]:
    """What became of the records of this process since the client's start."""
    figures = client.stats()
    return {
        "total_added": figures["recorded"] + figures["adopted"],
        "total_sent": figures["sent"],
        "total_failed": sum(figures[name] for name in _DROPPED),
        "current_size": figures["buffered"] + figures["in_flight"],
        "max_size": int(client.setting("buffer_size")),
    }


def get_malti_stats() -> dict[str, Any]:
    """Counts since the start, and the settings that matter for them.

    `total_failed` counts every record that was given up, also by a full buffer. `running` is
    whether requests are recorded. `libmalti.stats()` has more.
    """
    return {
        **buffer_stats(),
        "service_name": client.setting("service_name"),
        "node": client.setting("node"),
        "running": client.recording,
        "malti_url": client.setting("url"),
        "clean_mode": client.setting("clean_mode") == "true",
    }
