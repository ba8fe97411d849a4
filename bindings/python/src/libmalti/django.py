"""Django: a middleware for `settings.MIDDLEWARE`, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Callable, Union

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings

from . import _context, _environ, _record
from ._client import client
from ._context import MARK, Said
from ._normal import normal
from .wsgi import CLIENT_GONE, LOOK_AFTER_NS, SERVER_ERROR

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

    GetResponse = Callable[[HttpRequest], Union[HttpResponseBase, Awaitable[HttpResponseBase]]]

__all__ = ["MaltiMiddleware"]

_PREFIX = "MALTI_"


class MaltiMiddleware:
    """Records each request of a Django project under its route, `include()` prefixes included; the
    path where none matched.

        MIDDLEWARE = ["libmalti.django.MaltiMiddleware", …]

    First in the list it sees what the others answer too. Sync and async views, under WSGI and ASGI.
    Views may say more in `request.malti_consumer`, `malti_context` and `malti_endpoint`, or by
    `libmalti.set_consumer()` and its siblings. Settings are, the first that is there: the dict
    `MALTI` in Django's settings (`{"SERVICE_NAME": …}`), `MALTI_*` there, `MALTI_*` variables.

    An exception is the 500 that Django makes of it. A streamed answer ends when its iterator is
    exhausted or the answer is closed. A client that left is 499 where it can be known: under ASGI
    at once, under WSGI as `libmalti.wsgi.MaltiMiddleware` says.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response: Any = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)
        client.prepare(_configured())

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if not client.started:
            client.start()
        exchange = _Exchange(request) if client.recording else None
        if self._async:
            return self._later(request, exchange)
        if exchange is None:
            return self.get_response(request)
        token = _context.current.set(exchange.said)
        try:
            response = self.get_response(request)
        except BaseException:
            exchange.end(SERVER_ERROR)
            raise
        finally:
            _context.current.reset(token)
        return exchange.answered(response)

    async def _later(self, request: HttpRequest, exchange: _Exchange | None) -> HttpResponseBase:
        if exchange is None:
            return await self.get_response(request)
        token = _context.current.set(exchange.said)
        try:
            response = await self.get_response(request)
        except (asyncio.CancelledError, GeneratorExit):
            # Django gives a request up when its client is gone.
            exchange.end(CLIENT_GONE)
            raise
        except BaseException:
            exchange.end(SERVER_ERROR)
            raise
        finally:
            _context.leave(token)
        return exchange.answered(response)


def _configured() -> dict[str, Any]:
    found = {
        name[len(_PREFIX) :].lower(): getattr(settings, name)
        for name in dir(settings)
        if name.startswith(_PREFIX)
    }
    found.update({key.lower(): value for key, value in getattr(settings, "MALTI", {}).items()})
    return found


class _Exchange:
    """One request and its answer, on their way through the middleware."""

    __slots__ = ("_carrier", "_inner", "_request", "_started", "ended", "said", "status")

    def __init__(self, request: HttpRequest) -> None:
        self._started = perf_counter_ns()
        self._request: Any = request
        scope = getattr(request, "scope", None)
        self._carrier: dict[str, Any] = request.META if scope is None else scope
        said: Said | None = self._carrier.get(MARK)
        #: Another middleware around this one records; it is told the route.
        self._inner = said is not None
        self.said: Said = said if said is not None else {}
        if said is None:
            self._carrier[MARK] = self.said
        self.status = 0
        self.ended = False

    def answered(self, response: Any) -> HttpResponseBase:
        """Records, or has the answer record when it has been sent. Never raises."""
        self.status = response.status_code
        try:
            if self._inner or not response.streaming:
                self.end(self._late() or self.status)
            elif not self._on_asgi() and getattr(response, "file_to_stream", None) is not None:
                # A WSGI server may send the file by itself, and closes it by the answer's `close`.
                close = response.close

                def closing() -> None:
                    try:
                        close()
                    finally:
                        self.end(self.status)

                response.close = closing
            else:
                self.status = self._late() or self.status
                # Django closes what is streamed when it closes the answer.
                stream = _AsyncStream if response.is_async else _Stream
                response.streaming_content = stream(response.streaming_content, self)
        except Exception as error:
            _record.lost(error)
        return response

    def _late(self) -> int:
        """499 if the answer starts late and its client is known to have left; else 0."""
        late = perf_counter_ns() - self._started >= LOOK_AFTER_NS
        return CLIENT_GONE if late and _environ.client_left(self._request.META) else 0

    def end(self, status: int) -> None:
        """The answer is over: record it, once. Never raises."""
        if self.ended:
            return
        self.ended = True
        elapsed = perf_counter_ns() - self._started
        try:
            self._tell()
            if not self._inner:
                self._carrier.pop(MARK, None)
                self._report(status, elapsed // 1000)
        except Exception as error:
            _record.lost(error)

    def _tell(self) -> None:
        match = self._request.resolver_match
        # One of the outer middleware's, below, may have been there already.
        if match is not None and self.said.get("route") is None:
            self.said["route"] = self._mount() + normal("django", match.route)
        self.said["own"] = vars(self._request).get

    def _mount(self) -> str:
        # A scope's mounts are known to the middleware around it; a forced name is the deployment's.
        if self._on_asgi() or settings.FORCE_SCRIPT_NAME is not None:
            return ""
        # Django has decoded it.
        script = self._request.META.get("SCRIPT_NAME") or ""
        return _environ.mount(script.encode().decode("latin-1"))

    def _on_asgi(self) -> bool:
        return self._carrier is not self._request.META

    def _report(self, status: int, microseconds: int) -> None:
        request, said, carrier = self._request, self.said, self._carrier
        consumer, context, endpoint = _context.settled(said)
        if self._on_asgi():
            headers, query = carrier["headers"], carrier.get("query_string") or b""
            peer = (carrier.get("client") or (None,))[0]
        else:
            headers, query = _environ.headers_of(carrier), _environ.query_of(carrier)
            peer = carrier.get("REMOTE_ADDR")
        _record.record_request(
            request.method,
            _record.text(endpoint) or said.get("route") or self._raw_path(),
            status,
            microseconds,
            _record.text(consumer),
            _record.text(context),
            headers,
            query,
            peer,
        )

    def _raw_path(self) -> str:
        return self._mount() + (self._request.path_info or "/")


class _Stream:
    """What is streamed, with the request known to who produces it."""

    def __init__(self, content: Any, exchange: _Exchange) -> None:
        self._content = iter(content)
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        token = _context.current.set(exchange.said)
        try:
            return next(self._content)  # type: ignore[no-any-return]
        except StopIteration:
            self.close()
            raise
        except BaseException:
            exchange.end(SERVER_ERROR)
            raise
        finally:
            _context.current.reset(token)

    def close(self) -> None:
        self._exchange.end(self._exchange.status)
        # What is streamed has the answer, which has this object: else the three keep each other.
        self._content = iter(())

    # Django 5.0 closes no answer whose client left.
    __del__ = close


class _AsyncStream:
    """The same for an asynchronous iterator."""

    def __init__(self, content: Any, exchange: _Exchange) -> None:
        self._content = content.__aiter__()
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        token = _context.current.set(exchange.said)
        try:
            return await self._content.__anext__()  # type: ignore[no-any-return]
        except (StopAsyncIteration, asyncio.CancelledError, GeneratorExit):
            exchange.end(exchange.status)
            raise
        except BaseException:
            exchange.end(SERVER_ERROR)
            raise
        finally:
            _context.leave(token)

    def close(self) -> None:
        self._exchange.end(self._exchange.status)

    # Django 5.0 closes no answer whose client left.
    __del__ = close
