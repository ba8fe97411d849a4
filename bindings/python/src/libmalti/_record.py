"""From Python's values to one record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, MutableMapping
from operator import index
from typing import TYPE_CHECKING, Any

from . import _call, _context, _library, _log
from ._client import client

_U64_MAX = (1 << 64) - 1
_NOBODY = 0
# Text longer than this is cut by the core; encoding more of it would be work for nothing.
_CHARACTERS = _library.FIELD_BYTES


def text(value: object) -> str | None:
    """A value of the application's as text. None, and text that is empty, are absent."""
    if value is None:
        return None
    if isinstance(value, str):
        return value or None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    return str(value) or None


def lost(error: Exception) -> None:
    """A fault of telemetry in the middle of a request: counted, and logged once."""
    client.refused += 1
    _log.once("middleware", f"a request was not recorded: {type(error).__name__}: {error}")


def record(
    method: str,
    endpoint: str,
    status: int,
    response_time_us: int,
    consumer: str | None = None,
    context: str | None = None,
) -> bool:
    """Records one request. Returns in well under a microsecond, whatever the network does; any
    thread.

    `endpoint` is the route's pattern, such as "/users/{user_id}", else the path. `status` is the
    HTTP status, 100 to 999 (an `http.HTTPStatus` too). `response_time_us` is in microseconds, from
    the request's arrival to the end of the response, and sent in whole milliseconds. `consumer` is
    who called (None: "anonymous"), `context` free text. Of each text 500 characters are kept.

    True: recorded. False: left out (clean mode, `exclude_endpoints`, a status out of range) or no
    client runs; `stats()` counts which. The first call starts the client from `MALTI_*`, if nothing
    has. A value of the wrong type is a TypeError; inside a request that the middleware sees it is
    logged and counted as `invalid` instead, since telemetry must not break an answer.
    """
    client.tick()
    return record_slowly(method, endpoint, status, response_time_us, consumer, context)


def record_slowly(
    method: str,
    endpoint: str,
    status: int,
    response_time_us: int,
    consumer: str | None = None,
    context: str | None = None,
) -> bool:
    """The same through ctypes: where there is no builtin, and for what the builtin leaves alone."""
    if not client.started:
        client.start()
    try:
        texts = (
            _argument("method", method),
            _argument("endpoint", endpoint),
            b"" if consumer is None else _argument("consumer", consumer),
            b"" if context is None else _argument("context", context),
        )
        number = _number("status", status)
        microseconds = _number("response_time_us", response_time_us)
    except TypeError as error:
        if _context.current.get() is None:
            raise
        client.refused += 1
        _log.once(str(error), f"not recorded: {error}")
        return False
    return send(texts[0], texts[1], number, microseconds, texts[2], texts[3])


# For the messages of a TypeError: nobody has called it by its own name.
record_slowly.__qualname__ = record.__name__


def send(
    method: bytes,
    endpoint: bytes,
    status: int,
    response_time_us: int,
    consumer: bytes,
    context: bytes,
    created_at_us: int = 0,
) -> bool:
    """The call itself. Numbers out of range are the core's to refuse; `created_at_us` is in
    microseconds since 1970, 0 is now.
    """
    code = _library.record_n(
        *_pair(method),
        *_pair(endpoint),
        status if 0 <= status < 1 << 31 else _NOBODY,
        min(max(response_time_us, 0), _U64_MAX),
        *_pair(consumer),
        *_pair(context),
        created_at_us,
    )
    return code == _library.OK


def pull_log() -> bool | None:
    """For the builtin, which knows when lines wait. Not None: it is to ask again."""
    return None if _log.pull() else False


def _pair(value: bytes) -> tuple[bytes, int]:
    return value, len(value)


def _argument(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{name} is text, not {type(value).__name__}")
    return _library.encode(value[:_CHARACTERS])


def _number(name: str, value: object) -> int:
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}") from None


def record_request(
    method: str,
    endpoint: str,
    status: int,
    response_time_us: int,
    consumer: str | None,
    context: str | None,
    headers: list[tuple[bytes, bytes]],
    query: bytes,
    peer: str | None,
) -> bool:
    """`record` for middleware: `consumer` and `context` are what the application said, and where it
    said nothing the core finds them in the rest. Never raises inside a request.
    """
    client.tick()
    return record_request_slowly(
        method, endpoint, status, response_time_us, consumer, context, headers, query, peer
    )


def record_request_slowly(
    method: str,
    endpoint: str,
    status: int,
    response_time_us: int,
    consumer: str | None,
    context: str | None,
    headers: Iterable[tuple[bytes, bytes]],
    query: bytes,
    peer: str | None,
) -> bool:
    if not client.started:
        client.start()
    return record_slowly(
        method,
        endpoint,
        status,
        response_time_us,
        consumer_of(consumer, headers, query, peer),
        context or context_of(headers),
    )


#: What the builtins look up: entries of an ASGI scope, of its state, of a `Said`; after these what
#: only those of an exchange do, also in messages. The order is the library's.
SCOPE_NAMES = (
    "method",
    "headers",
    "query_string",
    "client",
    "state",
    "malti_consumer",
    "malti_context",
    "malti_endpoint",
    "context",  # as malti-telemetry's README says it
    "consumer",
    "context",
    "endpoint",
    "own",
    "route",
    "path",
    "root_path",
    "endpoint",
    "litestar_app",
    "api",
    "type",
    "status",
    "more_body",
    "trailers",
    _context.MARK,
)


def record_scope(
    names: tuple[str, ...],
    scope: MutableMapping[str, Any],
    said: _context.Said,
    endpoint: str,
    status: int,
    response_time_us: int,
) -> bool:
    """`record_request` for an ASGI scope; `names` is SCOPE_NAMES. `endpoint` is the route's, which
    what the application said comes before.
    """
    client.tick()
    return record_scope_slowly(names, scope, said, endpoint, status, response_time_us)


def record_scope_slowly(
    names: tuple[str, ...],
    scope: MutableMapping[str, Any],
    said: _context.Said,
    endpoint: str,
    status: int,
    response_time_us: int,
) -> bool:
    state = scope.get("state")
    if not isinstance(state, dict):  # of a framework that keeps something else there
        state = {}
    consumer, context, own_endpoint = _context.settled(said, state.get)
    if not context and isinstance(state.get("context"), str):
        context = state["context"]
    peer = scope.get("client")
    return record_request_slowly(
        scope["method"],
        text(own_endpoint) or endpoint,
        status,
        response_time_us,
        text(consumer),
        text(context),
        scope["headers"],
        scope.get("query_string") or b"",
        peer[0] if peer else None,
    )


if not TYPE_CHECKING and (
    _builtins := _call.builtins(
        sys.modules[__name__],
        "($module, method, endpoint, status, response_time_us, consumer=None, context=None)",
        record.__doc__ or "",
    )
):
    record, record_request, record_scope = _builtins
    if not _call.has_gil():
        _request, _scope = record_request, record_scope

        def record_request(*arguments):
            """With a list that nobody else has: the builtin borrows from it."""
            *before, headers, query, peer = arguments
            return _request(*before, list(headers), query, peer)

        def record_scope(names, scope, said, *rest):
            """The same with dictionaries."""
            if said.get("own") is not None:  # it is to be let go, in the one that was given
                return record_scope_slowly(names, scope, said, *rest)
            scope, state = dict(scope), scope.get("state")
            if isinstance(state, dict):
                scope["state"] = state.copy()
            scope["headers"] = list(scope["headers"])
            return _scope(names, scope, said.copy(), *rest)


def consumer_of(
    own: str | None,
    headers: Iterable[tuple[bytes, bytes]],
    query: bytes,
    peer: str | None,
) -> str | None:
    """Who called. The rules are the core's; it is not asked where there is nothing to decide."""
    rules = client.rules
    block = _block(headers, None if rules.every_header else rules.headers)
    address = _library.encode(peer) if peer and rules.every_header else None
    if not (own or block or query or address):
        return None
    return _library.field(
        _library.resolve_consumer,
        None,
        *_pair(_library.encode(own[:_CHARACTERS]) if own else b""),
        *_pair(block),
        *_pair(query),
        *_pair(address or b""),
    )


def context_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The context that the headers give, where `context_headers` asks for some."""
    wanted = client.rules.context_headers
    if not wanted:
        return None
    block = _block(headers, wanted)
    return _library.field(_library.resolve_context, None, *_pair(block)) if block else None


def _block(headers: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes] | None) -> bytes:
    """name NUL value NUL …, of the headers that are wanted; None: of all. No server should let a
    NUL in a value pass; in here it would begin another header.
    """
    return b"".join(
        b"%b\0%b\0" % (name, value)
        for name, value in headers
        if (wanted is None or name.lower() in wanted) and b"\0" not in name + value
    )
