"""One request of an ASGI application and its answer, on their way through the middleware."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Awaitable, MutableMapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Callable

from . import _call
from ._context import MARK, Said, current, leave
from ._record import SCOPE_NAMES, lost, record_scope
from ._record import pull_log as pull_log
from ._routes import endpoint_of, is_unrouted

if TYPE_CHECKING:
    import asyncio
    from contextvars import Token

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: Names the endpoint of a request that no router matched.
Namer = Callable[[Scope], "str | None"]

# Only a request that took this long gets a look whether its client is still there. The library
# knows it, too.
_LOOK_AFTER_NS = 200_000_000
# nginx's status for a client that went away before the answer.
_CLIENT_GONE = 499
_SERVER_ERROR = 500


def begin(namer: Namer | None, scope: Scope, receive: Receive, send: Send) -> Any:
    """A request comes in: gives the application's `receive` and `send`, one object that receives
    where it is called without an argument, and sends a message. Until `over` is called with it,
    scope and context know what is said of the request. An exception: it is no scope to record.
    """
    exchange = Exchange(
        scope, receive, send, {}, namer, scope["path"], scope.get("root_path"), perf_counter_ns()
    )
    exchange.enter()
    return exchange


def over(request: Exchange, error: BaseException | None) -> None:
    """The application has returned, or raised. Records what has not been recorded."""
    request.leave()
    request.over(error)


def take_over(
    scope: Scope,
    receive: Receive,
    send: Send,
    said: Said,
    namer: Namer | None,
    path: str,
    root: str | None,
    status: int,
    ended: bool,
    elapsed: int,
) -> Exchange:
    """For the builtins, which see a request through as long as it is an ordinary one: the rest is
    an exchange's. `elapsed` is in nanoseconds.
    """
    started = perf_counter_ns() - elapsed
    exchange = Exchange(scope, receive, send, said, namer, path, root, started)
    exchange.status = status
    exchange.ended = ended
    return exchange


def settle(
    scope: Scope,
    said: Said,
    namer: Namer | None,
    path: str,
    root: str | None,
    status: int,
    elapsed: int,
) -> None:
    """The answer is over: records it. `path` and `root` are the scope's on entry: routers change
    both. `elapsed` is in nanoseconds. Never raises.
    """
    try:
        endpoint = _endpoint(scope, said, namer, path, root)
        record_scope(SCOPE_NAMES, scope, said, endpoint, status, elapsed // 1000)
    except Exception as error:
        lost(error)


def _endpoint(scope: Scope, said: Said, namer: Namer | None, path: str, root: str | None) -> str:
    route = said.get("route")
    endpoint = None
    if route is None and is_unrouted(scope):
        if namer is not None:
            endpoint = namer(scope)
        elif not root:
            endpoint = path
    return endpoint or endpoint_of(scope, path, root or "", route)


class Exchange:
    """A request and its answer in whatever way they go.

    What is seldom needed is of the class, for each attribute that is set costs every request.
    """

    #: 0 until the answer starts.
    status = 0
    ended = False
    #: When the client left, as far as anybody was told; else 0.
    left_at = 0
    #: Messages that a look received and the application has not.
    _kept: deque[Message] | None = None
    _receiving = False
    _look: asyncio.Task[None] | None = None
    _looked = False
    _trailers = False
    _token: Token[Said | None] | None = None

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        said: Said,
        namer: Namer | None,
        path: str,
        root: str | None,
        started: int,
    ) -> None:
        self._scope = scope
        self._inner_receive = receive
        self._inner_send = send
        self._said = said
        self._namer = namer
        self._path = path
        self._root = root
        self._started = started

    def enter(self) -> None:
        scope = self._scope
        # Middleware below may copy the scope; what it sets in this object is seen here all the
        # same.
        if scope.get("state") is None:
            scope["state"] = {}
        scope[MARK] = self._said
        self._token = current.set(self._said)

    def leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            leave(token)

    def __call__(self, *message: Message, **named: Message) -> Awaitable[Any]:
        return self.send(*message, **named) if message or named else self.receive()

    async def receive(self) -> Message:
        if self._look is not None:
            await _asyncio().wait({self._look})
        if self._kept:
            return self._kept.popleft()
        self._receiving = True
        try:
            message = await self._inner_receive()
        finally:
            self._receiving = False
        self._note(message)
        return message

    def _note(self, message: Message) -> None:
        try:
            if message["type"] == "http.disconnect" and not self.left_at:
                self.left_at = perf_counter_ns()
        except Exception:
            return  # no message of ASGI's; the application's to judge

    def send(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own: one more a message would cost more than all the rest here."""
        try:
            kind = message.get("type")
            if kind == "http.response.start" and self._wants_look():
                return self._look_and_start(message)
            self._note_answer(kind, message)
        except Exception:
            pass  # no message of ASGI's; the server's to judge
        return self._inner_send(message)

    def _wants_look(self) -> bool:
        late = perf_counter_ns() - self._started >= _LOOK_AFTER_NS
        return late and not (self.left_at or self._looked)

    def _note_answer(self, kind: str | None, message: Message) -> None:
        if kind == "http.response.body":
            if not (self._trailers or message.get("more_body")):
                self.end(self.status)
        elif kind == "http.response.start":
            self.status = _CLIENT_GONE if self.left_at else message.get("status") or 0
            if "trailers" in message:
                self._trailers = message["trailers"]
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers")
        ):
            self.end(self.status)

    async def _look_and_start(self, message: Message) -> None:
        """Before a late answer starts, one look, without waiting, whether its client is there.

        Servers say so only to who receives. What comes besides is kept for the application. No look
        while the application itself receives: it will be told.
        """
        if not self._receiving and self._look is None:
            with contextlib.suppress(RuntimeError):  # another event loop than asyncio's
                await self._peek(_asyncio().get_running_loop())
        self._looked = True
        await self.send(message)

    async def _peek(self, loop: asyncio.AbstractEventLoop) -> None:
        look = self._look = loop.create_task(self._keep())
        try:
            await _asyncio().sleep(0)
            look.cancel()
            await _asyncio().wait({look})
            if not look.cancelled():
                # A fault of the server's; the application meets it when it receives.
                look.exception()
        finally:
            # Also where the application is cancelled here: a look that goes on takes its message.
            look.cancel()
            self._look = None

    async def _keep(self) -> None:
        # The rest of the body, if nobody has read it, comes before the news that the client left.
        kept = self._kept = self._kept or deque()
        while not (kept and kept[-1].get("more_body")):
            message = await self._inner_receive()
            kept.append(message)
            self._note(message)
            if self.left_at:
                return

    def over(self, error: BaseException | None) -> None:
        """The application has returned, or raised."""
        if error is None:
            self.end(self.status or (_CLIENT_GONE if self.left_at else _SERVER_ERROR))
        elif self.left_at or isinstance(error, (GeneratorExit, _asyncio().CancelledError)):
            # The server gives a request up when its client is gone, or when it stops; and of a
            # client that left, frameworks make exceptions of their own.
            self.end(self.status or _CLIENT_GONE)
        else:
            self.end(_SERVER_ERROR)

    def end(self, status: int) -> None:
        """The answer is over: record it, once. Never raises."""
        if self.ended:
            return
        self.ended = True
        elapsed = (self.left_at or perf_counter_ns()) - self._started
        settle(self._scope, self._said, self._namer, self._path, self._root, status, elapsed)


begin_slowly, over_slowly = begin, over

if not TYPE_CHECKING and (_builtins := _call.exchange_builtins(sys.modules[__name__], SCOPE_NAMES)):
    begin, over = _builtins


def _asyncio() -> Any:
    """Not at import: it takes longer than all of ours, and servers on other loops have none."""
    import asyncio

    return asyncio
