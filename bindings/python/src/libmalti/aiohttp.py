"""aiohttp.web: a middleware with its signals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Callable

from aiohttp import web

from . import _context, _record
from ._client import Setting, client
from ._context import MARK
from ._exchange import CLIENT_GONE, SERVER_ERROR, Exchange, Request
from ._normal import normal
from .asgi import _off_the_loop

__all__ = ["setup"]

# To a websocket's protocol: no answer in our sense.
_SWITCHING = 101

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup(app: web.Application, **settings: Setting) -> None:
    """Records each request of an application under its resource, sub-applications included, 405
    too; the path where none matched. Before the application runs:

        setup(app)

    The application may say more in `request["malti_consumer"]`, `["malti_context"]` and
    `["malti_endpoint"]`, or by `libmalti.set_consumer()` and its siblings. A handler's exception is
    recorded as 500 and travels on; a client that left before the answer is 499. Websockets are not
    recorded. A sub-application may have it too. The client starts with the application and stops
    with its clean-up. Settings are those of `libmalti.init`.
    """
    if _middleware in app.middlewares:
        return
    if settings:
        client.prepare(settings)
    app.middlewares.insert(0, _middleware)
    app.on_response_prepare.append(_prepared)
    app.cleanup_ctx.insert(0, _life)


async def _life(app: web.Application) -> Any:
    owner = client.acquire()
    yield
    if owner:
        await _off_the_loop(client.release)


async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    if MARK in request:
        return await handler(request)
    if not client.started:
        client.start()
    task = asyncio.current_task()
    if not client.recording or task is None:
        return await handler(request)
    answer = request[MARK] = _Answer(request)
    # The task is the request's own: it ends when the body has been sent, and its context, too, so
    # that whoever produces the body knows the request.
    task.add_done_callback(answer.over)
    _context.current.set(answer.exchange.said)
    try:
        if request.match_info.http_exception is not None:
            answer.exchange.said["route"] = await _of_another_method(request)
        return await handler(request)
    except (web.HTTPException, asyncio.CancelledError):
        raise
    except BaseException as error:
        # In the middle of an answer. Before it, aiohttp makes one that says what became of it.
        answer.failed = answer.status != 0 and not (isinstance(error, OSError) and answer.gone())
        raise


_middleware: Any = web.middleware(_observe)


async def _prepared(request: web.Request, response: web.StreamResponse) -> None:
    answer = request.get(MARK)
    if answer is not None:
        answer.begin(response)


class _Answer:
    """What becomes of a request."""

    __slots__ = ("_request", "exchange", "failed", "status")

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.exchange = exchange = Exchange(self._describe)
        exchange.said["own"] = request.get
        #: 0 until the answer starts.
        self.status = 0
        #: Whether the handler broke the answer off.
        self.failed = False
        # aiohttp lets a handler go on whose client has left, and tells nobody but the request.
        tell = getattr(request, "_cancel", None)
        if tell is not None:

            def left(error: BaseException) -> None:
                exchange.left()
                tell(error)

            request.__dict__["_cancel"] = left

    def gone(self) -> bool:
        """Whether the client has left, as far as the server was told."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self.exchange.left()
        return self.exchange.left_at != 0

    def begin(self, response: web.StreamResponse) -> None:
        if self.status == 0:
            self.status = CLIENT_GONE if self.gone() else response.status

    def over(self, task: asyncio.Task[Any]) -> None:
        exchange = self.exchange
        if self.status == _SWITCHING:
            exchange.drop()
        elif self.failed:
            exchange.end(SERVER_ERROR)
        elif self.status == 0:
            # Cancelled, as ASGI servers do too with who has left, and when they stop.
            exchange.end(CLIENT_GONE if task.cancelled() or exchange.left_at else SERVER_ERROR)
        else:
            exchange.end(self.status)
        # They refer to each other.
        self._request.__dict__.pop("_cancel", None)
        self._request.pop(MARK, None)

    def _describe(self) -> Request:
        request = self._request
        resource = request.match_info.route.resource
        if resource is None:
            endpoint = request.path or "/"
        else:
            endpoint = normal("aiohttp", _pattern(resource))
        return Request(
            request.method,
            endpoint,
            list(request.raw_headers),
            request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape"),
            request.remote,
        )


def _pattern(resource: web.AbstractResource) -> str:
    canonical: str = resource.canonical
    # A folder of files is one endpoint.
    return canonical + "/{path}" if isinstance(resource, web.StaticResource) else canonical


async def _of_another_method(request: web.Request) -> str | None:
    """The resource that the path of a 405 belongs to."""
    try:
        if request.match_info.http_exception.status == 405:
            for resource in request.match_info.apps[-1].router.resources():
                if (await resource.resolve(request))[1]:
                    return normal("aiohttp", _pattern(resource))
    except Exception as error:
        _record.lost(error)
    return None
