"""WSGI: a middleware for any PEP 3333 application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter_ns
from typing import Any, Callable

from . import _context, _environ, _record
from ._client import Setting, client
from ._context import MARK, Said
from ._environ import Environ

Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
#: Tells the middleware what a framework left behind, once the answer is over.
Telling = Callable[[Environ, Said, int], None]

__all__ = ["MaltiMiddleware"]

# Only a request that took this long gets a look whether its client is still there.
LOOK_AFTER_NS = 200_000_000
# nginx's status for a client that went away before the answer.
CLIENT_GONE = 499
SERVER_ERROR = 500


class MaltiMiddleware:
    """Records each request of a WSGI application: route, status, time to the end of the body,
    caller. Everything else passes through untouched.

        application = MaltiMiddleware(application)

    The application may say more by `libmalti.set_consumer()` and its siblings, also while its body
    is iterated over. Its exceptions are recorded as 500 and travel on. A body ends when it is
    exhausted or closed; a list or tuple, and a file in the server's own `wsgi.file_wrapper`, which
    is handed over untouched, when it is returned. Servers do not tell of clients that left: where
    the socket can be asked, an answer that starts later than 200 ms after its request is 499 if its
    client is gone. Faults of telemetry are logged, never raised. The client starts with the first
    request and stops at exit. Threads may share a middleware.

    `endpoint` gives the endpoint of a request from its environ, such as "/users/{user_id}"; None:
    its path, SCRIPT_NAME included. `settings` are those of `libmalti.init`; they hold if the client
    is not yet running.
    """

    _tell: Telling | None = None

    def __init__(
        self,
        app: App,
        *,
        endpoint: Callable[[Environ], str | None] | None = None,
        **settings: Setting,
    ) -> None:
        self.app = app
        self._endpoint = endpoint
        if settings:
            client.prepare(settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if MARK in environ:
            return self.app(environ, start_response)
        if not client.started:
            client.start()
        if not client.recording:
            return self.app(environ, start_response)
        exchange = _Exchange(environ, start_response, self._endpoint, self._tell)
        token = _context.current.set(exchange.said)
        try:
            body = self.app(environ, exchange.start_response)
        except BaseException:
            exchange.fail()
            raise
        finally:
            _context.current.reset(token)
        kind = type(body)
        if exchange.status and (kind is list or kind is tuple or _is_file(body, environ)):
            exchange.end(exchange.status)
            return body
        return (_SizedBody if hasattr(kind, "__len__") else _Body)(body, exchange)


def _is_file(body: object, environ: Environ) -> bool:
    """Whether it is what `wsgi.file_wrapper` made, which servers know by its type or identity."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # A function, of uWSGI and mod_wsgi: it gives the file itself, or an object of its own.
    return wrapper is not None and (hasattr(body, "read") or hasattr(body, "filelike"))


class _Exchange:
    """One request and its answer, on their way through the middleware."""

    __slots__ = (
        "_endpoint",
        "_environ",
        "_inner_start",
        "_inner_write",
        "_path",
        "_script",
        "_started",
        "_tell",
        "_unsent",
        "ended",
        "said",
        "status",
    )

    def __init__(
        self,
        environ: Environ,
        start_response: StartResponse,
        endpoint: Callable[[Environ], str | None] | None,
        tell: Telling | None,
    ) -> None:
        self._started = perf_counter_ns()
        self._environ = environ
        self._inner_start = start_response
        self._inner_write: Write | None = None
        self._endpoint = endpoint
        self._tell = tell
        # Dispatchers and frameworks change them on the way.
        self._script: str = environ.get("SCRIPT_NAME") or ""
        self._path: str = environ.get("PATH_INFO") or ""
        self._unsent = False
        #: 0 until the answer starts.
        self.status = 0
        self.ended = False
        self.said: Said = {}
        environ[MARK] = self.said

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Write:
        if exc_info is None:
            write = self._inner_start(status, headers)
        else:
            try:
                # Raises the exception again, if headers have been sent.
                write = self._inner_start(status, headers, exc_info)
            finally:
                exc_info = None
        try:
            self.status = int(status[:3])
        except (TypeError, ValueError):  # the server's to judge
            self.status = SERVER_ERROR
        if perf_counter_ns() - self._started >= LOOK_AFTER_NS and _environ.client_left(
            self._environ
        ):
            self.status = CLIENT_GONE
        self._inner_write = write
        return self.write

    def write(self, data: bytes) -> object:
        assert self._inner_write is not None
        try:
            return self._inner_write(data)
        except BaseException:
            # The server's fault, or the client left; none of the application's.
            self._unsent = True
            raise

    def fail(self) -> None:
        """The application raised."""
        self.end(self.status if self._unsent else SERVER_ERROR)

    def end(self, status: int) -> None:
        """The answer is over: record it, once. Never raises."""
        if self.ended:
            return
        self.ended = True
        elapsed = perf_counter_ns() - self._started
        try:
            # Some use an environ for more than one request.
            self._environ.pop(MARK, None)
            self._report(status, elapsed // 1000)
        except Exception as error:
            _record.lost(error)

    def _report(self, status: int, microseconds: int) -> None:
        environ, said = self._environ, self.said
        if self._tell is not None:
            self._tell(environ, said, status)
        consumer, context, endpoint = _context.settled(said)
        if endpoint is None and self._endpoint is not None and said.get("route") is None:
            endpoint = self._endpoint(environ)
        _record.record_request(
            environ["REQUEST_METHOD"],
            _record.text(endpoint) or said.get("route") or self._raw_path(),
            status,
            microseconds,
            _record.text(consumer),
            _record.text(context),
            _environ.headers_of(environ),
            _environ.query_of(environ),
            environ.get("REMOTE_ADDR"),
        )

    def _raw_path(self) -> str:
        return _environ.mount(self._script) + _environ.text(self._path) or "/"


class _Body:
    """An answer's body that ends when it is exhausted or closed. The server sees no difference."""

    __slots__ = ("_body", "_exchange", "_next")

    def __init__(self, body: Iterable[bytes], exchange: _Exchange) -> None:
        self._body = body
        self._exchange = exchange
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # Generators run here: what they say is about this request.
        exchange = self._exchange
        token = _context.current.set(exchange.said)
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            return self._next()
        except StopIteration:
            exchange.end(exchange.status or SERVER_ERROR)
            raise
        except BaseException:
            exchange.fail()
            raise
        finally:
            _context.current.reset(token)

    def close(self) -> None:
        exchange = self._exchange
        close = getattr(self._body, "close", None)
        token = _context.current.set(exchange.said)
        try:
            if close is not None:
                close()
        finally:
            _context.current.reset(token)
            # Not exhausted: the client left, or the server has had enough.
            exchange.end(exchange.status or CLIENT_GONE)


class _SizedBody(_Body):
    """Servers derive Content-Length from a body of one part."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
