"""What applications call: the collector, and the system that holds it and the sender."""

from __future__ import annotations

from typing import Any

from .recording import record_ms
from .sender import BatchSender


class TelemetryCollector:
    """Records requests. Never blocks, never raises; any thread."""

    def __init__(self, batch_sender: BatchSender) -> None:
        self.batch_sender = batch_sender

    @property
    def service_name(self) -> str:
        """The setting."""
        return self.batch_sender.service_name

    @property
    def node(self) -> str:
        """The setting."""
        return self.batch_sender.node

    def record_request(
        self,
        method: str,
        endpoint: str,
        status: int,
        response_time: int,
        consumer: str,
        context: str | None = None,
    ) -> None:
        """Records one request; `response_time` is in whole milliseconds. See `libmalti.record`."""
        record_ms(method, endpoint, status, response_time, consumer, context)

    def get_stats(self) -> dict[str, Any]:
        """As `get_malti_stats`."""
        return self.batch_sender.get_stats()


class TelemetrySystem:
    """A collector and a sender. All systems are one, the client of this process; each that was
    started keeps it running.
    """

    def __init__(self) -> None:
        self.batch_sender = BatchSender()
        self.collector = TelemetryCollector(self.batch_sender)

    async def start(self) -> None:
        """As `BatchSender.start`."""
        await self.batch_sender.start()

    async def stop(self) -> None:
        """As `BatchSender.stop`."""
        await self.batch_sender.stop()

    def record_request(
        self,
        method: str,
        endpoint: str,
        status: int,
        response_time: int,
        consumer: str,
        context: str | None = None,
    ) -> None:
        """As `TelemetryCollector.record_request`."""
        record_ms(method, endpoint, status, response_time, consumer, context)

    def get_stats(self) -> dict[str, Any]:
        """As `get_malti_stats`."""
        return self.collector.get_stats()


_system = TelemetrySystem()


def get_telemetry_system() -> TelemetrySystem:
    """The one that this process shares."""
    return _system
