"""From Python's values to one record."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index

from . import _context, _library, _log
from ._client import client

_U64_MAX = (1 << 64) - 1
_NOBODY = 0
# Text longer than this is cut by the core; encoding more of it would be work for nothing.
_CHARACTERS = _library.FIELD_BYTES


def text(value: object) -> bytes | None:
    """A value of the application's as UTF-8. None, and text that is empty, are absent."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value or None
    string = value if isinstance(value, str) else str(value)
    return _library.encode(string[:_CHARACTERS]) or None


def send(
    method: bytes,
    endpoint: bytes,
    status: int,
    response_time_us: int,
    consumer: bytes | None,
    context: bytes | None,
) -> int:
    """Records, and gives the core's status. Numbers out of range are the core's to refuse."""
    code = _library.record_n(
        method,
        len(method),
        endpoint,
        len(endpoint),
        status if 0 <= status < 1 << 31 else _NOBODY,
        min(max(response_time_us, 0), _U64_MAX),
        consumer,
        len(consumer) if consumer else 0,
        context,
        len(context) if context else 0,
        0,
    )
    client.tick()
    return code


def record(
    method: str,
    endpoint: str,
    status: int,
    response_time_us: int,
    consumer: str | None = None,
    context: str | None = None,
) -> bool:
    """Records one request. Returns in microseconds, whatever the network does; any thread.

    `endpoint` is the route's pattern, such as "/users/{user_id}", else the path. `status` is the
    HTTP status, 100 to 999 (an `http.HTTPStatus` too). `response_time_us` is in microseconds, from
    the request's arrival to the end of the response, and sent in whole milliseconds. `consumer` is
    who called (None: "anonymous"), `context` free text. Of each text 500 characters are kept.

    True: recorded. False: left out (clean mode, `exclude_endpoints`, a status out of range) or no
    client runs; `stats()` counts which. The first call starts the client from `MALTI_*`, if nothing
    has. A value of the wrong type is a TypeError; inside a request that the middleware sees it is
    logged and counted as `invalid` instead, since telemetry must not break an answer.
    """
    if not client.started:
        client.start()
    try:
        arguments = (
            _argument("method", method),
            _argument("endpoint", endpoint),
            _number("status", status),
            _number("response_time_us", response_time_us),
            None if consumer is None else _argument("consumer", consumer),
            None if context is None else _argument("context", context),
        )
    except TypeError as error:
        if _context.current.get() is None:
            raise
        client.refused += 1
        _log.once(str(error), f"not recorded: {error}")
        return False
    return send(*arguments) == _library.OK


def _argument(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{name} is text, not {type(value).__name__}")
    return _library.encode(value[:_CHARACTERS])


def _number(name: str, value: object) -> int:
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}") from None


def consumer_of(
    said: object,
    headers: Iterable[tuple[bytes, bytes]],
    query: bytes,
    peer: str | None,
) -> bytes | None:
    """Who called. The rules are the core's; it is not asked where there is nothing to decide.

    `headers` have lower-case names, as ASGI promises.
    """
    rules = client.rules
    state = text(said)
    # What begins with a letter or digit is not blank.
    if state and rules.state_first and state[:1].isalnum():
        return state
    if rules.every_header:
        parts = [part for pair in headers for part in pair]
    else:
        parts = [part for pair in headers if pair[0] in rules.headers for part in pair]
    address = _library.encode(peer) if peer and rules.every_header else None
    if not (state or parts or query or address):
        return None
    block = _joined(parts)
    return _library.field(
        _library.resolve_consumer,
        None,
        state,
        len(state or b""),
        block,
        len(block or b""),
        query or None,
        len(query),
        address,
        len(address or b""),
    )


def context_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The context that the headers give, where `context_headers` asks for some."""
    wanted = client.rules.context_headers
    block = _joined([part for pair in headers if pair[0] in wanted for part in pair])
    if block is None:
        return None
    return _library.field(_library.resolve_context, None, block, len(block))


def _joined(parts: list[bytes]) -> bytes | None:
    """name NUL value NUL …"""
    return b"\0".join(parts) + b"\0" if parts else None
