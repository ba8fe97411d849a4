"""One application per framework, bare or with the one line that its documentation names."""

from __future__ import annotations

import sys
from socket import socket
from types import ModuleType
from typing import Any, Callable

import drivers
import subjects
from drivers import BODY, Drive


def bare_asgi(recorded: bool) -> Drive:
    return drivers.asgi(subjects.libmalti(subjects.bare) if recorded else subjects.bare)


def bare_wsgi(recorded: bool) -> Drive:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "8")])
        return [BODY]

    if recorded:
        from libmalti.wsgi import MaltiMiddleware

        return drivers.wsgi(MaltiMiddleware(app))
    return drivers.wsgi(app)


def fastapi(recorded: bool) -> Drive:
    app = subjects.fastapi()
    if recorded:
        from libmalti.asgi import MaltiMiddleware

        app.add_middleware(MaltiMiddleware)
    return drivers.asgi(app)


def starlette(recorded: bool) -> Drive:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def user(request: Request) -> Response:
        return Response(BODY, media_type="application/json")

    app = Starlette(routes=[Route("/users/{user_id}", user)])
    if recorded:
        from libmalti.asgi import MaltiMiddleware

        app.add_middleware(MaltiMiddleware)
    return drivers.asgi(app)


def responder(recorded: bool) -> Drive:
    import responder

    app = responder.API()

    @app.route("/users/{user_id:int}")
    async def user(req: Any, resp: Any, *, user_id: int) -> None:
        resp.media = {"id": user_id}

    if recorded:
        from libmalti.asgi import MaltiMiddleware

        app.add_middleware(MaltiMiddleware)
    return drivers.asgi(app)


def litestar(recorded: bool) -> Drive:
    from litestar import Litestar, get

    @get("/users/{user_id:int}")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    if recorded:
        from libmalti.litestar import MaltiPlugin

        return drivers.asgi(Litestar([user], plugins=[MaltiPlugin()]))
    return drivers.asgi(Litestar([user]))


def quart(recorded: bool) -> Drive:
    from quart import Quart

    app = Quart(__name__)

    @app.get("/users/<int:user_id>")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    if recorded:
        from libmalti.quart import MaltiQuart

        MaltiQuart(app)
    return drivers.asgi(app)


class _User:
    def on_get(self, req: Any, resp: Any, user_id: int) -> None:
        resp.media = {"id": user_id}


class _AsyncUser:
    async def on_get(self, req: Any, resp: Any, user_id: int) -> None:
        resp.media = {"id": user_id}


def _falcon(app: Any, user: object, recorded: bool) -> Any:
    app.add_route("/users/{user_id:int}", user)
    if recorded:
        from libmalti.falcon import instrument

        return instrument(app)
    return app


def falcon_asgi(recorded: bool) -> Drive:
    from falcon.asgi import App

    return drivers.asgi(_falcon(App(), _AsyncUser(), recorded))


def falcon_wsgi(recorded: bool) -> Drive:
    from falcon import App

    return drivers.wsgi(_falcon(App(), _User(), recorded))


def _django(recorded: bool, asynchronous: bool) -> None:
    import django
    from django.conf import settings
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    def user(request: HttpRequest, user_id: int) -> JsonResponse:
        return JsonResponse({"id": user_id})

    async def async_user(request: HttpRequest, user_id: int) -> JsonResponse:
        return JsonResponse({"id": user_id})

    urls = ModuleType("bench_urls")
    vars(urls)["urlpatterns"] = [path("users/<int:user_id>", async_user if asynchronous else user)]
    sys.modules[urls.__name__] = urls
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["libmalti.django.MaltiMiddleware"] if recorded else [],
        ROOT_URLCONF=urls.__name__,
    )
    django.setup()


def django_asgi(recorded: bool) -> Drive:
    from django.core.asgi import get_asgi_application

    _django(recorded, asynchronous=True)
    return drivers.asgi(get_asgi_application())


def django_wsgi(recorded: bool) -> Drive:
    from django.core.wsgi import get_wsgi_application

    _django(recorded, asynchronous=False)
    return drivers.wsgi(get_wsgi_application())


def flask(recorded: bool) -> Drive:
    from flask import Flask

    app = Flask(__name__)

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    if recorded:
        from libmalti.flask import MaltiFlask

        MaltiFlask(app)
    return drivers.wsgi(app)


def bottle(recorded: bool) -> Drive:
    from bottle import Bottle

    app = Bottle()

    @app.get("/users/<user_id:int>")
    def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    if recorded:
        from libmalti.bottle import MaltiPlugin

        app.install(MaltiPlugin())
    return drivers.wsgi(app)


def aiohttp(recorded: bool) -> Drive:
    from aiohttp import web

    async def user(request: web.Request) -> web.Response:
        return web.Response(body=BODY, content_type="application/json")

    app = web.Application()
    app.router.add_get(r"/users/{user_id:\d+}", user)
    if recorded:
        from libmalti.aiohttp import setup

        setup(app)

    async def start(listening: socket) -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()

    return drivers.served(start)


def sanic(recorded: bool) -> Drive:
    from sanic import Request, Sanic, raw
    from sanic.response import HTTPResponse

    app = Sanic("bench", configure_logging=False)

    @app.get("/users/<user_id:int>")
    async def user(request: Request, user_id: int) -> HTTPResponse:
        return raw(BODY, content_type="application/json")

    if recorded:
        from libmalti.sanic import setup

        setup(app)

    async def start(listening: socket) -> None:
        server: Any = await app.create_server(
            sock=listening, access_log=False, return_asyncio_server=True
        )
        await server.startup()
        await server.before_start()
        await server.start_serving()
        await server.after_start()

    return drivers.served(start)


ALL: dict[str, Callable[[bool], Drive]] = {
    "bare ASGI": bare_asgi,
    "Starlette": starlette,
    "FastAPI": fastapi,
    "Responder": responder,
    "Litestar": litestar,
    "Quart": quart,
    "Falcon ASGI": falcon_asgi,
    "Django ASGI": django_asgi,
    "aiohttp (loopback)": aiohttp,
    "Sanic (loopback)": sanic,
    "bare WSGI": bare_wsgi,
    "Flask": flask,
    "Django WSGI": django_wsgi,
    "Bottle": bottle,
    "Falcon WSGI": falcon_wsgi,
}
