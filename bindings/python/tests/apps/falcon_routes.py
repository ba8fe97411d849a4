"""Falcon, under WSGI or, with `TEST_ASGI`, under ASGI."""

import asyncio
import io
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import falcon
import falcon.asgi
import libmalti
from libmalti.falcon import instrument

ON_ASGI = bool(os.environ.get("TEST_ASGI"))
Handler = Callable[[Any, Any, dict[str, Any]], Optional[Awaitable[None]]]
app: Any = (falcon.asgi.App if ON_ASGI else falcon.App)()


def route(template: str, method: str = "get") -> Callable[[Handler], Handler]:
    """One function for both kinds of responders."""

    def add(handler: Handler) -> Handler:
        class Resource:
            pass

        def on(self: object, req: Any, resp: Any, **params: Any) -> None:
            handler(req, resp, params)

        async def on_async(self: object, req: Any, resp: Any, **params: Any) -> None:
            result = handler(req, resp, params)
            if result is not None:
                await result

        for name in (method, "head") if method == "get" else (method,):
            setattr(Resource, f"on_{name}", on_async if ON_ASGI else on)
        app.add_route(template, Resource())
        return handler

    return add


def streamed(chunks: Iterator[bytes]) -> Any:
    async def slowly() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(0.01)

    return slowly() if ON_ASGI else chunks


@route("/users/{user_id:int}")
def user(req: Any, resp: Any, params: dict[str, Any]) -> None:
    resp.media = params


@route("/items", "post")
def create(req: Any, resp: Any, params: dict[str, Any]) -> None:
    resp.status = 201


@route("/files/{path:path}")
@route("/odd/{one:int(2, min=1)}-{two}/x")
def text(req: Any, resp: Any, params: dict[str, Any]) -> None:
    resp.text = str(params)


@route("/stream")
def stream(req: Any, resp: Any, params: dict[str, Any]) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 10
            time.sleep(0.1)
        libmalti.set_consumer("streamer")
        req.context.malti_context = "/stream"

    resp.stream = streamed(chunks())


@route("/endless")
def endless(req: Any, resp: Any, params: dict[str, Any]) -> None:
    def chunks() -> Iterator[bytes]:
        # Falcon's ASGI sends on to a client that has left.
        for _ in range(100 if ON_ASGI else 1_000_000):
            yield b"x" * 65536

    resp.stream = streamed(chunks())


@route("/file")
def file(req: Any, resp: Any, params: dict[str, Any]) -> None:
    data = Path(__file__).read_bytes()
    resp.stream = streamed(iter([data])) if ON_ASGI else io.BytesIO(data)


@route("/boom")
def boom(req: Any, resp: Any, params: dict[str, Any]) -> None:
    raise LookupError("boom")


@route("/boom-late")
def boom_late(req: Any, resp: Any, params: dict[str, Any]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise LookupError("boom-late")

    resp.stream = streamed(chunks())


@route("/slow/{seconds:float}")
def slow(req: Any, resp: Any, params: dict[str, Any]) -> Optional[Awaitable[None]]:
    print("slow begins", file=sys.stderr, flush=True)
    resp.text = "slow"
    if ON_ASGI:
        return asyncio.sleep(params["seconds"])
    time.sleep(params["seconds"])
    return None


@route("/who")
def who(req: Any, resp: Any, params: dict[str, Any]) -> None:
    req.context.malti_consumer = " st "
    req.context.malti_context = "plan=pro"


@route("/who-null")
def who_null(req: Any, resp: Any, params: dict[str, Any]) -> None:
    req.context.malti_consumer = None


@route("/both")
def both(req: Any, resp: Any, params: dict[str, Any]) -> None:
    req.context.malti_consumer = "own"
    req.context.malti_endpoint = "/own/{x}"
    libmalti.set_consumer("function")


@route("/code/{code:int}")
def code(req: Any, resp: Any, params: dict[str, Any]) -> None:
    resp.status = params["code"]


@route("/renamed")
def renamed(req: Any, resp: Any, params: dict[str, Any]) -> None:
    libmalti.set_endpoint("/custom/{x}")


@route("/later/{name}")
def later(req: Any, resp: Any, params: dict[str, Any]) -> None:
    time.sleep(0.01)
    libmalti.set_consumer(params["name"])


def sink(req: Any, resp: Any, **params: Any) -> None:
    resp.text = str(params)


async def sink_async(req: Any, resp: Any, **params: Any) -> None:
    resp.text = str(params)


app.add_sink(sink_async if ON_ASGI else sink, "/proxy/")
app.add_sink(sink_async if ON_ASGI else sink, r"/named/(?P<name>[a-z]+)/")
app.add_static_route("/static", str(Path(__file__).parent))
served = instrument(instrument(app).app, node="n1")

if __name__ == "__main__":
    if ON_ASGI:
        import serving

        serving.run(served)
    else:
        import wsgi_serving

        wsgi_serving.run(served)
