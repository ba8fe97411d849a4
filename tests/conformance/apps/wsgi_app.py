"""The routes of the suite as a bare WSGI application, under waitress.

It has a table of its own to find the handler by, and tells the middleware the pattern from there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Callable
from urllib.parse import parse_qs

import libmalti
import serving
import wsgi_serving
from libmalti.wsgi import MaltiMiddleware

Environ = dict[str, Any]
Start = Callable[..., Any]
Handler = Callable[[Environ, Start], Iterable[bytes]]

PLAIN = ("Content-Type", "text/plain")


def answer(start: Start, text: str, status: str = "200 OK") -> Iterable[bytes]:
    body = text.encode()
    start(status, [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def say_path(environ: Environ, start: Start) -> Iterable[bytes]:
    return answer(start, environ["PATH_INFO"])


def create(environ: Environ, start: Start) -> Iterable[bytes]:
    try:
        json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    except ValueError as error:
        return answer(start, str(error), "422 Unprocessable Content")
    return answer(start, "created", "201 Created")


def stream(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [PLAIN])
    for number in range(3):
        if number:
            time.sleep(0.1)
        yield b"chunk\n"


def boom(environ: Environ, start: Start) -> Iterable[bytes]:
    raise RuntimeError("boom")


def boom_late(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [PLAIN])
    yield b"chunk\n"
    raise RuntimeError("boom-late")


def slow(environ: Environ, start: Start) -> Iterable[bytes]:
    time.sleep(10)
    return answer(start, "slow")


def who(environ: Environ, start: Start) -> Iterable[bytes]:
    libmalti.set_consumer(" st ")
    libmalti.set_context("plan=pro")
    return answer(start, "who")


def who_null(environ: Environ, start: Start) -> Iterable[bytes]:
    libmalti.set_consumer(None)
    return answer(start, "who-null")


def code(environ: Environ, start: Start) -> Iterable[bytes]:
    return answer(start, "", environ["PATH_INFO"].rpartition("/")[2] + " As Asked")


def renamed(environ: Environ, start: Start) -> Iterable[bytes]:
    libmalti.set_endpoint("/custom/{x}")
    return answer(start, "renamed")


def later(environ: Environ, start: Start) -> Iterable[bytes]:
    name = parse_qs(environ["QUERY_STRING"])["name"][0]
    time.sleep(0.02)
    libmalti.set_consumer(name)
    return answer(start, name)


def told(app: Handler) -> Handler:
    if serving.BARE:
        return app
    return MaltiMiddleware(app, endpoint=lambda environ: pattern_of(environ["PATH_INFO"]))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET HEAD", "/users/{user_id}", say_path),
    ("POST", "/items", create),
    ("GET", "/files/{path}", say_path),
    ("GET", "/tenants/{tenant}/orders/{order_id}", told(say_path)),
    ("GET", "/stream", stream),
    ("GET", "/boom", boom),
    ("GET", "/boom-late", boom_late),
    ("GET", "/slow", slow),
    ("GET", "/who", who),
    ("GET", "/who-null", who_null),
    ("GET", "/code/{code}", code),
    ("GET", "/renamed", renamed),
    ("GET", "/later", later),
]


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("{path}", ".+").replace("{", "(?P<").replace("}", ">[^/]+)"))


TABLE = [(_expression(pattern), methods, pattern, handler) for methods, pattern, handler in ROUTES]


def pattern_of(path: str) -> str | None:
    return next((pattern for regex, _, pattern, _ in TABLE if regex.fullmatch(path)), None)


def routes(environ: Environ, start: Start) -> Iterable[bytes]:
    for regex, methods, _, handler in TABLE:
        if regex.fullmatch(environ["PATH_INFO"]):
            if environ["REQUEST_METHOD"] in methods.split():
                return handler(environ, start)
            return answer(start, "not by this method", "405 Method Not Allowed")
    return answer(start, "nothing here", "404 Not Found")


if __name__ == "__main__":
    wsgi_serving.run(told(routes))
