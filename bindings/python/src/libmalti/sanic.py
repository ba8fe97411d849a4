"""Sanic: signals and listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, Callable
from urllib.parse import unquote

from sanic import Request as SanicRequest
from sanic import Sanic
from sanic.http import Stage

from . import _context
from ._client import Setting, client
from ._exchange import CLIENT_GONE, SERVER_ERROR, Exchange, Request
from ._normal import normal
from .asgi import _off_the_loop

__all__ = ["setup"]


def setup(app: Sanic[Any, Any], **settings: Setting) -> None:
    """Records each request of an application under its URI template, blueprints included, 405 too;
    the path where none matched. Before the application runs:

        setup(app)

    The application may say more in `request.ctx.malti_consumer`, `malti_context` and
    `malti_endpoint`, or by `libmalti.set_consumer()` and its siblings. A client that left before
    the answer is 499. Websockets are not recorded. Each worker has a client of its own, which
    starts and stops with its server. Under an ASGI server it takes `MaltiMiddleware(app)` besides.
    Settings are those of `libmalti.init`.
    """
    if getattr(app.ctx, "malti", False):
        return
    app.ctx.malti = True
    if settings:
        client.prepare(settings)
    owned: list[bool] = []

    async def start(_: Sanic[Any, Any]) -> None:
        owned.append(client.acquire())

    async def stop(_: Sanic[Any, Any]) -> None:
        if owned and owned.pop():
            await _off_the_loop(client.release)

    app.register_listener(start, "before_server_start")
    app.register_listener(stop, "after_server_stop")
    app.signal("http.lifecycle.request")(_arrived)
    app.signal("http.lifecycle.exception")(_raised)


async def _arrived(request: SanicRequest, **_: object) -> None:
    """The head of a request has been read; next, its connection calls what handles it."""
    protocol: Any = None if request.app.asgi else request.transport.get_protocol()
    handler = getattr(protocol, "request_handler", None)
    if handler is None:
        said = _context.current.get()
        if said is not None:
            said["own"] = _Own(request, route=True)
    elif not isinstance(handler, _Handler):
        protocol.request_handler = _Handler(handler)


async def _raised(request: SanicRequest, exception: BaseException, **_: object) -> None:
    answer = _answer.get()
    if answer is not None and answer.request is request:
        answer.raised(exception)


class _Handler:
    """What handles the requests of one connection, each until its answer has been sent."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Callable[[SanicRequest], Awaitable[None]]) -> None:
        self._inner = inner

    async def __call__(self, request: SanicRequest) -> None:
        if not client.started:
            client.start()
        if not client.recording or request.stream.upgrade_websocket:
            await self._inner(request)
            return
        answer = _Answer(request)
        # One task has all requests of a connection.
        tokens = _answer.set(answer), _context.current.set(answer.exchange.said)
        try:
            await self._inner(request)
        except (asyncio.CancelledError, GeneratorExit):
            answer.cancelled()
            raise
        except BaseException:
            answer.exchange.end(SERVER_ERROR)
            raise
        else:
            answer.over()
        finally:
            for token in tokens:
                _context.leave(token)


class _Own:
    """The application's own values: attributes of the request's context."""

    __slots__ = ("_request", "_route")

    def __init__(self, request: SanicRequest, route: bool) -> None:
        self._request = request
        self._route = route

    def __call__(self, name: str) -> object:
        value = getattr(self._request.ctx, name, None)
        if value is None and self._route and name == "malti_endpoint":
            return _route_of(self._request, ())
        return value


class _Answer:
    """What becomes of a request."""

    __slots__ = ("_allowed", "_failed", "exchange", "request")

    def __init__(self, request: SanicRequest) -> None:
        self.request = request
        self.exchange = Exchange(self._describe)
        self.exchange.said["own"] = _Own(request, route=False)
        #: The methods that a 405 names.
        self._allowed: Any = ()
        #: Whether the handler broke its answer off.
        self._failed = False

    def raised(self, exception: BaseException) -> None:
        """Sanic makes an answer of it, unless one has started already."""
        self._allowed = getattr(exception, "allowed_methods", None) or ()
        self._failed = self.request.stream.stage is not Stage.HANDLER

    def cancelled(self) -> None:
        """The client is gone, or Sanic's patience with it or us."""
        stream = self.request.stream
        if stream.stage is Stage.HANDLER:
            why = stream.exception
            gone = self.request.conn_info.lost or why is None
            self.exchange.end(CLIENT_GONE if gone else getattr(why, "status_code", SERVER_ERROR))
        else:
            self.over()

    def over(self) -> None:
        stream = self.request.stream
        response = stream.response
        if self._failed or response is None or stream.stage is Stage.HANDLER:
            self.exchange.end(SERVER_ERROR)
        else:
            self.exchange.end(response.status)

    def _describe(self) -> Request:
        request = self.request
        return Request(
            request.method,
            _route_of(request, self._allowed) or unquote(request.path) or "/",
            [(_octets(name), _octets(value)) for name, value in request.headers.items()],
            _octets(request.query_string),
            request.ip,
        )


_answer: ContextVar[_Answer | None] = ContextVar("libmalti_sanic", default=None)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _route_of(request: SanicRequest, allowed: Any) -> str | None:
    template = request.uri_template
    for method in () if template else allowed:
        # The route that the path of a 405 belongs to.
        route = request.app.router.get(request.path, method, request.headers.get("host"))[0]
        template = f"/{route.path}"
        break
    # Sanic's own name for what is below a folder of files.
    return normal("sanic", template.replace("<__file_uri__", "<path")) if template else None
