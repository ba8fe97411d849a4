"""ASGI: a middleware for FastAPI, Starlette and any other ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

from . import _forks
from ._context import MARK, Said, current

# Not typing's, which takes longer to import than all of ours.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from ._asgi import begin, over
    from ._client import Setting, client
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
    global begin, client, over
    try:
        begin, over, client = (
            _forks.attribute(f"{__package__}.{module}", name)
            for module, name in (("_asgi", "begin"), ("_asgi", "over"), ("_client", "client"))
        )
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
        said: Said = {}
        receive, send, request = begin(self._endpoint, scope, receive, send, said)
        token = current.set(said)
        # Not called as a method: an attribute that is called is looked up the slow way.
        app = self.app
        try:
            await app(scope, receive, send)
        except BaseException as error:
            over(request, error)
            raise
        else:
            over(request, None)
        finally:
            # As `leave` does, a call of which would cost a request 2 % of all this.
            try:  # noqa: SIM105
                current.reset(token)
            except ValueError:
                pass


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
    # Not at import: it takes longer than all of ours, and servers on other loops have none.
    import asyncio

    try:
        done = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        # Another loop than asyncio's, or its threads have ended: then a short wait is no harm.
        work()
    else:
        await done
