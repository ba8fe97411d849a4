"""The names of malti-telemetry 1.0.4, for applications that were written for it.

Times are whole milliseconds here, as they were there.
"""

from __future__ import annotations

import os
from typing import Any

from . import _log
from ._client import client
from ._record import record

_DROPPED = ("dropped_overflow", "dropped_rejected", "dropped_shutdown", "dropped_expired")


def configure_malti(
    service_name: str | None = None,
    api_key: str | None = None,
    malti_url: str | None = None,
    node: str | None = None,
    batch_size: int | None = None,
    batch_interval: float | None = None,
    clean_mode: bool | None = None,
    use_ip_as_consumer: bool | None = None,
    ip_anonymize: bool | None = None,
) -> None:
    """Sets `MALTI_*` variables of this process, which the client reads when it starts.

    Call it before the first request; later it has no effect, and a warning says so. None, and an
    empty text or number, leave a variable as it is. `batch_interval` is in seconds.
    """
    if client.started:
        _log.once("late", "configure_malti() has no effect once the client has started")
        return
    values = {
        "SERVICE_NAME": service_name or None,
        "API_KEY": api_key or None,
        "URL": malti_url or None,
        "NODE": node or None,
        "BATCH_SIZE": batch_size or None,
        "BATCH_INTERVAL": batch_interval or None,
        "CLEAN_MODE": clean_mode,
        "USE_IP_AS_CONSUMER": use_ip_as_consumer,
        "IP_ANONYMIZE": ip_anonymize,
    }
    for name, value in values.items():
        if value is not None:
            os.environ[f"MALTI_{name}"] = str(value)


def get_malti_stats() -> dict[str, Any]:
    """Counts since the start, and the settings that matter for them."""
    figures = client.stats()
    return {
        "total_added": figures["recorded"] + figures["adopted"],
        "total_sent": figures["sent"],
        "total_failed": sum(figures[name] for name in _DROPPED),
        "current_size": figures["buffered"] + figures["in_flight"],
        "max_size": int(client.setting("buffer_size")),
        "service_name": client.setting("service_name"),
        "node": client.setting("node"),
        "running": client.recording,
        "malti_url": client.setting("url"),
        "clean_mode": client.setting("clean_mode") == "true",
    }


class TelemetrySystem:
    """The process's client under its old name."""

    def __init__(self) -> None:
        self._owner = False

    async def start(self) -> None:
        """Starts the client. Needed only where neither a lifespan nor a request does."""
        if not self._owner:
            self._owner = client.acquire()

    async def stop(self) -> None:
        """Delivers what is left, within `shutdown_timeout`, and gives up what `start` took."""
        if self._owner:
            from .asgi import _off_the_loop

            self._owner = False
            await _off_the_loop(client.release)

    def record_request(
        self,
        method: str,
        endpoint: str,
        status: int,
        response_time: int,
        consumer: str,
        context: str | None = None,
    ) -> None:
        """Records one request; `response_time` is in milliseconds. See `libmalti.record`."""
        record(method, endpoint, status, int(response_time * 1000), consumer, context)

    def get_stats(self) -> dict[str, Any]:
        """As `get_malti_stats`."""
        return get_malti_stats()


_system = TelemetrySystem()


def get_telemetry_system() -> TelemetrySystem:
    """The one of this process."""
    return _system
