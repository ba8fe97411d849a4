"""What a WSGI environ tells about a request: who called, what is mounted where, who has left.

Text in it is bytes decoded as Latin-1, as PEP 3333 says; here it becomes bytes again.
"""

from __future__ import annotations

import contextlib
import os
import socket

# Without what gevent and its like put around it: they would wait where we only look.
from _socket import socket as _plain_socket
from typing import Any

from . import _library
from ._client import Rules, client

Environ = dict[str, Any]

_LOOK = getattr(socket, "MSG_PEEK", 0) | getattr(socket, "MSG_DONTWAIT", 0)
_CAN_LOOK = hasattr(socket, "MSG_PEEK") and hasattr(socket, "MSG_DONTWAIT")


def octets(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # from who does not keep to the PEP
        return _library.encode(text)


def text(latin: str) -> str:
    """What a path of an environ says."""
    return latin if latin.isascii() else octets(latin).decode("utf-8", "replace")


# The prefix at which the server itself was told to serve, as gunicorn and CGI are; not of interest.
_DEPLOYED = (os.environ.get("SCRIPT_NAME") or "").rstrip("/")


def mount(script: str) -> str:
    """SCRIPT_NAME without the deployment's own prefix: where a dispatcher mounted the app."""
    if not script:
        return ""
    path = text(script)
    if _DEPLOYED and f"{path}/".startswith(f"{_DEPLOYED}/"):
        path = path[len(_DEPLOYED) :]
    return path.rstrip("/")


_NO_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")
_PREFIX = "HTTP_"


def _key(header: bytes) -> str:
    key = header.decode("latin-1").upper().replace("-", "_")
    return key if key in _NO_PREFIX else _PREFIX + key


def _name(key: str) -> bytes:
    name = key[len(_PREFIX) :] if key.startswith(_PREFIX) else key
    return octets(name.lower().replace("_", "-"))


class _Wanted:
    """Which entries of an environ the rules ask for."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.keys = tuple((_key(name), name) for name in rules.headers | rules.context_headers)


_last = _Wanted(client.rules)


def headers_of(environ: Environ) -> list[tuple[bytes, bytes]]:
    """The headers that the rules ask for; others are not looked up."""
    global _last
    wanted = _last
    if wanted.rules is not client.rules:
        # Only after the client has started with other rules.
        wanted = _last = _Wanted(client.rules)
    if wanted.rules.every_header:
        return [
            (_name(key), octets(value))
            for key, value in environ.items()
            if key.startswith(_PREFIX) or key in _NO_PREFIX
        ]
    return [(name, octets(environ[key])) for key, name in wanted.keys if key in environ]


def query_of(environ: Environ) -> bytes:
    query = environ.get("QUERY_STRING")
    return octets(query) if query else b""


def client_left(environ: Environ) -> bool:
    """Whether the client is known to have closed its connection. Takes microseconds: for requests
    that took long. PEP 3333 has no word for it; waitress, gunicorn and Werkzeug let us look.
    """
    # An answer to "is it gone" that cannot be had is no fault: no socket, TLS, other systems.
    with contextlib.suppress(Exception):
        ask = environ.get("waitress.client_disconnected")
        if ask is not None:
            return bool(ask())
        connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
        if connection is not None and _CAN_LOOK:
            return _at_end(connection.fileno())
    return False


def _at_end(descriptor: int) -> bool:
    look = _plain_socket(fileno=descriptor)
    try:
        return look.recv(1, _LOOK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        look.detach()
