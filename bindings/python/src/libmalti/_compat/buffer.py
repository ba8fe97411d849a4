"""Buffers of records."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from .._client import client
from .recording import keep
from .statistics import buffer_stats

if TYPE_CHECKING:
    from .record import TelemetryRecord


class TelemetryBuffer:
    """Holds records, at most `max_size`; the oldest go first. Made by an application it is that and
    no more: nothing in it is sent. That of a `BatchSender` stands for the client's. Any thread.
    """

    def __init__(self, max_size: int = 10000) -> None:
        self._records: deque[TelemetryRecord] = deque(maxlen=max_size)
        self._lock = threading.Lock()
        self._added = self._sent = self._failed = 0

    def add(self, record: TelemetryRecord) -> None:
        """Adds one; a full buffer drops its oldest for it."""
        with self._lock:
            self._records.append(record)
            self._added += 1

    def get_batch(self, batch_size: int) -> list[TelemetryRecord]:
        """Takes the oldest out, at most `batch_size`."""
        with self._lock:
            count = min(batch_size, len(self._records))
            return [self._records.popleft() for _ in range(count)]

    def size(self) -> int:
        """How many records wait."""
        return len(self._records)

    def is_empty(self) -> bool:
        """Whether none waits."""
        return self.size() == 0

    @property
    def maxlen(self) -> int | None:
        """How many it holds at most."""
        return self._records.maxlen

    def get_stats(self) -> dict[str, Any]:
        """`total_added`, `total_sent`, `total_failed`, `current_size`, `max_size`."""
        with self._lock:
            return {
                "total_added": self._added,
                "total_sent": self._sent,
                "total_failed": self._failed,
                "current_size": len(self._records),
                "max_size": self._records.maxlen,
            }

    def update_stats(self, sent: int = 0, failed: int = 0) -> None:
        """Adds to the counts of what was sent and what failed."""
        with self._lock:
            self._sent += sent
            self._failed += failed


class ClientBuffer(TelemetryBuffer):
    """The client's own buffer. What is in it is the core's to deliver: it can be added to and
    counted, but nothing comes out, and its counts are not for others to change.
    """

    def __init__(self) -> None:
        super().__init__(0)

    def add(self, record: TelemetryRecord) -> None:
        """Records it, with the service and node of the settings."""
        keep(record)

    def get_batch(self, batch_size: int) -> list[TelemetryRecord]:
        """Always empty."""
        return []

    def size(self) -> int:
        """How many records wait or are being sent."""
        return int(buffer_stats()["current_size"])

    @property
    def maxlen(self) -> int | None:
        """The setting `buffer_size`."""
        return int(client.setting("buffer_size"))

    def get_stats(self) -> dict[str, Any]:
        """The counts of `get_malti_stats`."""
        return buffer_stats()

    def update_stats(self, sent: int = 0, failed: int = 0) -> None:
        """Does nothing: the core counts."""
