"""A hand-made WSGI application that does what PEP 3333 allows."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import libmalti
import wsgi_serving
from libmalti.wsgi import MaltiMiddleware

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]
View = Callable[[Environ, Start, str], Iterable[bytes]]


def whole(body: str, status: str = "200 OK") -> View:
    def view(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
        start(status, [("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]

    return view


def user(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return whole("", "405 Method Not Allowed")(environ, start, rest)
    return whole(rest)(environ, start, rest)


def stream(environ: Environ, start: Start, rest: str) -> Iterator[bytes]:
    start("200 OK", [])
    for _ in range(3):
        yield b"x" * 10
        time.sleep(0.1)
    libmalti.set_consumer("streamer")
    libmalti.set_context(environ["SCRIPT_NAME"])


def endless(environ: Environ, start: Start, rest: str) -> Iterator[bytes]:
    start("200 OK", [])
    while True:
        yield b"x" * 65536
        time.sleep(0.01)


def written(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    write = start("200 OK", [])
    write(b"written ")
    return (part for part in (b"and ", b"yielded"))


def one_part(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    class Part:
        """One part, so that the server knows the length."""

        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"one part"])

    start("200 OK", [])
    return Part()


def file(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    start("200 OK", [])
    served = Path(__file__).open("rb")  # noqa: SIM115  (closed by the server)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](served)
    return wrapped


def boom(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    raise LookupError("boom")


def boom_late(environ: Environ, start: Start, rest: str) -> Iterator[bytes]:
    start("200 OK", [])
    yield b"x"
    raise LookupError("boom-late")


def restart(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    start("200 OK", [])
    try:
        raise LookupError("mended")
    except LookupError:
        start("503 Sorry", [("Content-Length", "5")], sys.exc_info())
    return [b"sorry"]


def slow(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    print("slow begins", file=sys.stderr, flush=True)
    time.sleep(float(rest))
    return whole("slow")(environ, start, rest)


def who(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    libmalti.set_consumer(" st ")
    libmalti.set_context("plan=pro")
    return whole("who")(environ, start, rest)


def who_null(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    libmalti.set_consumer(None)
    return whole("who-null")(environ, start, rest)


def code(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    return whole("", f"{rest} As Wished")(environ, start, rest)


def renamed(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    libmalti.set_endpoint("/custom/{x}")
    return whole("renamed")(environ, start, rest)


def later(environ: Environ, start: Start, rest: str) -> Iterable[bytes]:
    time.sleep(0.01)
    libmalti.set_consumer(rest)
    return whole(rest)(environ, start, rest)


VIEWS: dict[str, tuple[str, View]] = {
    "users": ("/users/{user_id}", user),
    "items": ("/items", whole("made", "201 Created")),
    "files": ("/files/{path}", whole("file")),
    "stream": ("/stream", stream),
    "endless": ("/endless", endless),
    "written": ("/written", written),
    "one-part": ("/one-part", one_part),
    "file": ("/file", file),
    "boom": ("/boom", boom),
    "boom-late": ("/boom-late", boom_late),
    "restart": ("/restart", restart),
    "slow": ("/slow/{seconds}", slow),
    "who": ("/who", who),
    "who-null": ("/who-null", who_null),
    "code": ("/code/{code}", code),
    "renamed": ("/renamed", renamed),
    "later": ("/later/{name}", later),
}
NOWHERE = "", whole("nowhere", "404 Not Found")


def application(environ: Environ, start: Start) -> Iterable[bytes]:
    first, _, rest = environ["PATH_INFO"][1:].partition("/")
    # As dispatchers do.
    environ["SCRIPT_NAME"] += "/" + first
    environ["PATH_INFO"] = "/" + rest
    return VIEWS.get(first, NOWHERE)[1](environ, start, rest)


def endpoint(environ: Environ) -> Optional[str]:
    return VIEWS.get(environ["SCRIPT_NAME"][1:], NOWHERE)[0] or None


if __name__ == "__main__":
    app = MaltiMiddleware(MaltiMiddleware(application), endpoint=endpoint, node="n1")
    wsgi_serving.run(app)
