"""The routes of the suite in Falcon, under waitress or, with `CONFORMANCE_ASGI=1`, uvicorn."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import falcon
import falcon.asgi
import libmalti
import serving
from libmalti.falcon import instrument

ON_ASGI = os.environ.get("CONFORMANCE_ASGI") == "1"
App = falcon.asgi.App if ON_ASGI else falcon.App
Handler = Callable[..., "Awaitable[None] | None"]

app: Any = App()
tenants: Any = App()


def route(template: str, *methods: str, to: Any = app) -> Callable[[Handler], Handler]:
    """One function for both kinds of responders."""

    def add(handler: Handler) -> Handler:
        def on(self: object, req: Any, resp: Any, **params: Any) -> None:
            handler(req, resp, **params)

        async def on_async(self: object, req: Any, resp: Any, **params: Any) -> None:
            result = handler(req, resp, **params)
            if result is not None:
                await result

        names = {f"on_{method}": on_async if ON_ASGI else on for method in methods or ("get",)}
        to.add_route(template, type("Resource", (), names)())
        return handler

    return add


def failed(req: Any, resp: Any, error: Exception, params: Any) -> None:
    resp.status, resp.text = 500, repr(error)


async def failed_async(req: Any, resp: Any, error: Exception, params: Any) -> None:
    failed(req, resp, error, params)


app.add_error_handler(RuntimeError, failed_async if ON_ASGI else failed)


@route("/users/{user_id:int}", "get", "head")
def user(req: Any, resp: Any, user_id: int) -> None:
    resp.media = {"id": user_id}


async def create_async(req: Any, resp: Any) -> None:
    try:
        await req.get_media()
    except falcon.MediaMalformedError:
        resp.status = 422
    else:
        resp.status = 201


@route("/items", "post")
def create(req: Any, resp: Any) -> Awaitable[None] | None:
    if ON_ASGI:
        return create_async(req, resp)
    try:
        req.get_media()
    except falcon.MediaMalformedError:
        resp.status = 422
    else:
        resp.status = 201
    return None


@route("/files/{path:path}")
def file(req: Any, resp: Any, path: str) -> None:
    resp.text = path


@route("/{tenant}/orders/{order_id:int}", to=tenants)
def order(req: Any, resp: Any, tenant: str, order_id: int) -> None:
    resp.media = {"id": order_id}


def streamed(count: int, error: Exception | None = None) -> Any:
    def chunks() -> Iterator[bytes]:
        for number in range(count):
            if number:
                time.sleep(0.1)
            yield b"chunk\n"
        if error:
            raise error

    async def slowly() -> AsyncIterator[bytes]:
        for number in range(count):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"
        if error:
            raise error

    return slowly() if ON_ASGI else chunks()


@route("/stream")
def stream(req: Any, resp: Any) -> None:
    resp.stream = streamed(3)


@route("/boom")
def boom(req: Any, resp: Any) -> None:
    raise RuntimeError("boom")


@route("/boom-late")
def boom_late(req: Any, resp: Any) -> None:
    resp.stream = streamed(1, RuntimeError("boom-late"))


@route("/slow")
def slow(req: Any, resp: Any) -> Awaitable[None] | None:
    resp.text = "slow"
    if ON_ASGI:
        return asyncio.sleep(10)
    time.sleep(10)
    return None


@route("/who")
def who(req: Any, resp: Any) -> None:
    req.context.malti_consumer = " st "
    req.context.malti_context = "plan=pro"


@route("/who-null")
def who_null(req: Any, resp: Any) -> None:
    req.context.malti_consumer = None


@route("/code/{code:int}")
def code(req: Any, resp: Any, code: int) -> None:
    resp.status = code


@route("/renamed")
def renamed(req: Any, resp: Any) -> None:
    req.context.malti_endpoint = "/custom/{x}"


async def later_async(name: str) -> None:
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)


@route("/later")
def later(req: Any, resp: Any) -> Awaitable[None] | None:
    resp.text = req.get_param("name")
    if ON_ASGI:
        return later_async(resp.text)
    time.sleep(0.02)
    libmalti.set_consumer(resp.text)
    return None


def told(application: Any) -> Any:
    return application if serving.BARE else instrument(application)


served, mounted = told(app), told(tenants)


def dispatch(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Falcon has no mounts of its own."""
    mount = "/tenants"
    if environ["PATH_INFO"].startswith(mount + "/"):
        environ["SCRIPT_NAME"] += mount
        environ["PATH_INFO"] = environ["PATH_INFO"][len(mount) :]
        return mounted(environ, start)  # type: ignore[no-any-return]
    return served(environ, start)  # type: ignore[no-any-return]


async def dispatch_async(scope: Any, receive: Any, send: Any) -> None:
    mount = "/tenants"
    if scope["type"] == "http" and scope["path"].startswith(mount + "/"):
        # As Starlette does: the path stays whole in newer servers, Falcon wants its own part.
        scope["root_path"] = scope.get("root_path", "") + mount
        scope["path"] = scope["path"][len(mount) :]
        await mounted(scope, receive, send)
    else:
        await served(scope, receive, send)


if __name__ == "__main__":
    if ON_ASGI:
        from libmalti.asgi import MaltiMiddleware

        serving.asgi(dispatch_async if serving.BARE else MaltiMiddleware(dispatch_async))
    else:
        import wsgi_serving
        from libmalti.wsgi import MaltiMiddleware as Middleware

        wsgi_serving.run(dispatch if serving.BARE else Middleware(dispatch))
