"""One request and its answer in a framework that has its own server: aiohttp, Sanic."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Callable, NamedTuple

from . import _record
from ._context import Said, settled

# nginx's status for a client that went away before the answer.
CLIENT_GONE = 499
SERVER_ERROR = 500


class Request(NamedTuple):
    """What a record says of a request beside status and time."""

    method: str
    #: In normal form; where none matched, the path.
    endpoint: str
    headers: list[tuple[bytes, bytes]]
    query: bytes
    peer: str | None


class Exchange:
    """Times one request from when it is made, and records it once."""

    __slots__ = ("_describe", "_started", "left_at", "said")

    def __init__(self, describe: Callable[[], Request]) -> None:
        """`describe` is called at the end, when a route has matched or none has."""
        self._started = perf_counter_ns()
        self._describe: Callable[[], Request] | None = describe
        self.said: Said = {}
        #: When the client left, if that is known; else 0.
        self.left_at = 0

    def left(self) -> None:
        """The client is gone."""
        self.left_at = self.left_at or perf_counter_ns()

    def drop(self) -> None:
        """No record is made any more."""
        # Who describes keeps this object: a circle, and garbage of every request if it stayed.
        self._describe = None

    def end(self, status: int) -> None:
        """The answer is over: record it, once. Never raises."""
        describe = self._describe
        if describe is None:
            return
        self.drop()
        elapsed = (self.left_at or perf_counter_ns()) - self._started
        try:
            request, said = describe(), self.said
            consumer, context, endpoint = settled(said)
            _record.record_request(
                request.method,
                _record.text(endpoint) or said.get("route") or request.endpoint,
                status,
                elapsed // 1000,
                _record.text(consumer),
                _record.text(context),
                request.headers,
                request.query,
                request.peer,
            )
        except Exception as error:
            _record.lost(error)
