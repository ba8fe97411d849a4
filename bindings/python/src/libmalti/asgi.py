"""ASGI: a middleware for FastAPI, Starlette and any other ASGI application."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter_ns

from ._context import MARK, Said, current, leave

# Not typing's, which takes longer to import than all of ours.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any, overload

    from ._client import Setting, client
    from ._record import SCOPE_NAMES, lost, record_scope
    from ._routes import endpoint_of, is_unrouted
else:
    # For who resolves annotations at run time.
    Any = Setting = object

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Litestar, Quart and asgiref have types of their own for scopes and messages, and all must fit.
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, _Receive, _Send], Awaitable[None]]

__all__ = ["MaltiMiddleware"]

# Only a request that took this long gets a look whether its client is still there.
_LOOK_AFTER_NS = 200_000_000
# nginx's status for a client that went away before the answer.
_CLIENT_GONE = 499
_SERVER_ERROR = 500


def _load() -> None:
    """What a middleware needs, once there is one: importing alone loads no library."""
    global SCOPE_NAMES, client, endpoint_of, is_unrouted, lost, record_scope
    try:
        from ._client import client
        from ._record import SCOPE_NAMES, lost, record_scope
        from ._routes import endpoint_of, is_unrouted
    except ImportError as error:
        # Frameworks make their middleware when they are asked first, and no request is to fail.
        import logging

        logging.getLogger("libmalti").error("nothing is recorded: %s", error)
        nobody: Any = _Nobody()
        client = nobody


class _Nobody:
    """The client where the library cannot be loaded."""

    recording = False

    def begun(self) -> bool:
        return False

    def acquire(self) -> bool:
        return False

    def prepare(self, settings: dict[str, Setting]) -> None: ...


class MaltiMiddleware:
    """Records each HTTP request of an ASGI application: route, status, time to the end of the body,
    caller. Everything else passes through untouched.

        app.add_middleware(MaltiMiddleware)
        app = MaltiMiddleware(app)

    The application may say more in `request.state.malti_consumer`, `malti_context` and
    `malti_endpoint`, or by `libmalti.set_consumer()` and its siblings. A handler's exception is
    recorded as 500 and travels on; a client that left before the answer is 499. Faults of telemetry
    are logged, never raised. The client starts and stops with the ASGI lifespan (unless
    `auto_inject_lifespan` is False), else with the first request and at exit.

    `endpoint` gives the endpoint of a request that no router matched, from its scope, for bare
    applications. `settings` are those of `libmalti.init`; they hold if the client is not yet
    running.
    """

    # Twice, for type checkers: Starlette's `add_middleware` gives the application by its place, and
    # what else it takes must not have another `app` among the settings.
    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            app: App,
            /,
            auto_inject_lifespan: bool = True,
            *,
            endpoint: Callable[[Scope], str | None] | None = None,
            **settings: Setting,
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            app: App,
            auto_inject_lifespan: bool = True,
            endpoint: Callable[[Scope], str | None] | None = None,
            **settings: Setting,
        ) -> None: ...

    def __init__(  # type: ignore[misc]
        self,
        app: App,
        auto_inject_lifespan: bool = True,
        *,
        endpoint: Callable[[Scope], str | None] | None = None,
        **settings: Setting,
    ) -> None:
        self.app = app
        self._lifespan = auto_inject_lifespan
        self._endpoint = endpoint
        _load()
        if settings:
            client.prepare(settings)

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http" or MARK in scope or not (client.recording or client.begun()):
            if scope["type"] == "lifespan" and self._lifespan:
                await _live(self.app, scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        if self._endpoint is not None:
            exchange.endpoint = self._endpoint
        token = current.set(exchange.said)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.fail(error)
            raise
        else:
            if not exchange.ended:
                gone = _CLIENT_GONE if exchange.left_at else _SERVER_ERROR
                exchange.end(exchange.status or gone)
        finally:
            leave(token)


class _Exchange:
    """One request and its answer, on their way through the middleware.

    What is seldom needed is of the class, for each attribute that is set costs every request.
    """

    #: 0 until the answer starts.
    status = 0
    ended = False
    #: When the client left, as far as anybody was told; else 0.
    left_at = 0
    #: The middleware's `endpoint`.
    endpoint: Callable[[Scope], str | None] | None = None
    #: Messages that a look received and the application has not.
    _kept: deque[Message] | None = None
    _receiving = False
    _look: asyncio.Task[None] | None = None
    _looked = False
    _trailers = False
    _root = ""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._started = perf_counter_ns()
        self._scope = scope
        self._inner_receive = receive
        self._inner_send = send
        # As on entry: routers below may change both.
        self._path: str = scope["path"]
        if root := scope.get("root_path"):
            self._root = root
        self.said = scope[MARK] = Said()
        # Middleware below may copy the scope; what it sets in this object is seen here all the
        # same.
        if scope.get("state") is None:
            scope["state"] = {}

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
        if message["type"] == "http.disconnect" and not self.left_at:
            self.left_at = perf_counter_ns()

    def send(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own: one more a message would cost more than all the rest here."""
        kind = message.get("type")
        if kind == "http.response.body":
            if not (self._trailers or message.get("more_body")):
                self.end(self.status)
        elif kind == "http.response.start":
            late = perf_counter_ns() - self._started >= _LOOK_AFTER_NS
            if late and not (self.left_at or self._looked):
                return self._look_and_start(message)
            self.status = _CLIENT_GONE if self.left_at else message.get("status", 0)
            if "trailers" in message:
                self._trailers = message["trailers"]
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers")
        ):
            self.end(self.status)
        return self._inner_send(message)

    async def _look_and_start(self, message: Message) -> None:
        """Before a late answer starts, one look, without waiting, whether its client is there.

        Servers say so only to who receives. What comes besides is kept for the application. No look
        while the application itself receives: it will be told.
        """
        if not self._receiving and self._look is None:
            import contextlib

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

    def fail(self, error: BaseException) -> None:
        """The application raised."""
        if self.left_at or isinstance(error, (GeneratorExit, _asyncio().CancelledError)):
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
        try:
            scope, said = self._scope, self.said
            endpoint = None
            if said.route is None and is_unrouted(scope):
                if self.endpoint is not None:
                    endpoint = self.endpoint(scope)
                elif not self._root:
                    endpoint = self._path
            if not endpoint:
                endpoint = endpoint_of(scope, self._path, self._root, said.route)
            record_scope(SCOPE_NAMES, scope, vars(said), endpoint, status, elapsed // 1000)
        except Exception as error:
            lost(error)


def _asyncio() -> Any:
    """Not at import: it takes longer than all of ours, and servers on other loops have none."""
    import asyncio

    return asyncio


async def _live(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Starts the client with the application, and stops it before the server hears of the end."""
    owner = False

    async def give_back(message: Message | None = None) -> None:
        nonlocal owner
        if owner:
            owner = False
            await _off_the_loop(client.release)
        if message is not None:
            await send(message)

    def wrapped(message: Message) -> Awaitable[None]:
        nonlocal owner
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not owner:
            owner = client.acquire()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            return give_back(message)
        return send(message)

    try:
        await app(scope, receive, wrapped)
    finally:
        await give_back()


async def _off_the_loop(work: Callable[[], object]) -> None:
    """Does what may wait on another thread, where that can be waited for."""
    try:
        done = _asyncio().get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        # Another loop than asyncio's, or its threads have ended: then a short wait is no harm.
        work()
    else:
        await done
