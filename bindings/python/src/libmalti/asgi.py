"""ASGI: a middleware for FastAPI, Starlette and any other ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

from . import _forks
from ._context import MARK

# Not typing's, which takes longer to import than all of ours.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from ._asgi import begin, over
    from ._client import Setting, client
    from ._record import lost
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


def _load() -> None:
    """What a middleware needs, once there is one: importing alone loads no library."""
    global begin, client, lost, over
    needed = (("_asgi", "begin"), ("_asgi", "over"), ("_client", "client"), ("_record", "lost"))
    try:
        begin, over, client, lost = (
            _forks.attribute(f"{__package__}.{module}", name) for module, name in needed
        )
    except ImportError as error:
        # Frameworks make their middleware when they are asked first, and no request is to fail.
        import logging

        logging.getLogger("libmalti").error("nothing is recorded: %s", error)
        nobody: Any = _Nobody()
        client, lost = nobody, nobody.lost


class _Nobody:
    """The client where the library cannot be loaded."""

    recording = False

    def begun(self) -> bool:
        return False

    def acquire(self) -> bool:
        return False

    def prepare(self, settings: dict[str, Setting]) -> None: ...

    def lost(self, error: Exception) -> None: ...


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
        kind = request = None
        try:
            kind = scope["type"]
            if kind == "http" and MARK not in scope and (client.recording or client.begun()):
                request = begin(self._endpoint, scope, receive, send)
        except Exception as error:
            # No scope of ASGI's, or one that can't be changed.
            lost(error)
        if request is None:
            if kind == "lifespan" and self._lifespan:
                await _live(self.app, scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        # Not called as a method: an attribute that is called is looked up the slow way.
        app = self.app
        try:
            await app(scope, request, request)
        except BaseException as error:
            over(request, error)
            raise
        else:
            over(request, None)


async def _live(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Starts the client with the application, and stops it before the server hears of the end."""
    owner = Owner()

    async def end(message: Message) -> None:
        await owner.give_back()
        await send(message)

    def wrapped(message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
        except Exception:
            kind = None  # no message of ASGI's; the server's to judge
        if kind == "lifespan.startup.complete":
            owner.take()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            return end(message)
        return send(message)

    try:
        await app(scope, receive, wrapped)
    except GeneratorExit:
        owner.give_back_now()
        raise
    finally:
        await owner.give_back()


class Owner:
    """One owner of the client, taken and given back once."""

    _takes = False

    def take(self) -> None:
        if not self._takes:
            self._takes = client.acquire()

    async def give_back(self) -> None:
        if self._takes:
            self._takes = False
            await _off_the_loop(client.release)

    def give_back_now(self) -> None:
        """Where nothing can be awaited: a coroutine that its loop has given up."""
        if self._takes:
            self._takes = False
            client.release()


async def _off_the_loop(work: Callable[[], object]) -> None:
    """Does what may wait on another thread, where that can be waited for."""
    # Not at import: it takes longer than all of ours, and servers on other loops have none.
    import asyncio

    try:
        done = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        # Another loop than asyncio's, or its threads have ended: then a short wait is no harm.
        work()
    else:
        await done
