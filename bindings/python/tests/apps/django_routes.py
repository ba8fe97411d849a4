"""Django in one file, under WSGI or, with `TEST_ASGI`, under ASGI; sync views and async ones."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import django
import libmalti
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import include, path, re_path
from django.views.decorators.http import require_http_methods

ON_ASGI = bool(os.environ.get("TEST_ASGI"))

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="x",
    # Twice: recorded once all the same.
    MIDDLEWARE=[
        "libmalti.django.MaltiMiddleware",
        "django.middleware.common.CommonMiddleware",
        "libmalti.django.MaltiMiddleware",
    ],
    MALTI={"SERVICE_NAME": "conf"},
    MALTI_SERVICE_NAME="overridden",
    MALTI_NODE="n1",
    LOGGING={
        "version": 1,
        "handlers": {"out": {"class": "logging.StreamHandler"}},
        "loggers": {"django.request": {"handlers": ["out"]}},
    },
)


def user(request: HttpRequest, user_id: int) -> HttpResponse:
    return JsonResponse({"user": user_id})


def create(request: HttpRequest) -> HttpResponse:
    return HttpResponse("made", status=201)


def text(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
    return HttpResponse(f"{args} {kwargs}")


def stream(request: HttpRequest) -> HttpResponseBase:
    def chunks() -> Iterator[str]:
        for _ in range(3):
            yield "x" * 10
            time.sleep(0.1)
        libmalti.set_consumer("streamer")
        request.malti_context = "/stream"  # type: ignore[attr-defined]

    async def slowly() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * 10
            await asyncio.sleep(0.1)
        libmalti.set_consumer("streamer")
        request.malti_context = "/stream"  # type: ignore[attr-defined]

    return StreamingHttpResponse(slowly() if ON_ASGI else chunks())


def endless(request: HttpRequest) -> HttpResponseBase:
    def chunks() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536
            time.sleep(0.01)

    async def slowly() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0.01)

    return StreamingHttpResponse(slowly() if ON_ASGI else chunks())


def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(Path(__file__).open("rb"))


def boom(request: HttpRequest) -> HttpResponse:
    raise LookupError("boom")


async def boom_async(request: HttpRequest) -> HttpResponse:
    raise LookupError("boom")


def boom_late(request: HttpRequest) -> HttpResponseBase:
    def chunks() -> Iterator[str]:
        yield "x"
        raise LookupError("boom-late")

    async def slowly() -> AsyncIterator[str]:
        yield "x"
        raise LookupError("boom-late")

    return StreamingHttpResponse(slowly() if ON_ASGI else chunks())


def slow(request: HttpRequest, seconds: str) -> HttpResponse:
    print("slow begins", file=sys.stderr, flush=True)
    time.sleep(float(seconds))
    return HttpResponse("slow")


async def slow_async(request: HttpRequest, seconds: str) -> HttpResponse:
    print("slow begins", file=sys.stderr, flush=True)
    await asyncio.sleep(float(seconds))
    return HttpResponse("slow")


def who(request: HttpRequest) -> HttpResponse:
    request.malti_consumer = " st "  # type: ignore[attr-defined]
    request.malti_context = "plan=pro"  # type: ignore[attr-defined]
    return HttpResponse("who")


def who_null(request: HttpRequest) -> HttpResponse:
    request.malti_consumer = None  # type: ignore[attr-defined]
    return HttpResponse("who-null")


def both(request: HttpRequest) -> HttpResponse:
    request.malti_consumer = "own"  # type: ignore[attr-defined]
    request.malti_endpoint = "/own/{x}"  # type: ignore[attr-defined]
    libmalti.set_consumer("function")
    return HttpResponse("both")


def code(request: HttpRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code)


async def renamed(request: HttpRequest) -> HttpResponse:
    libmalti.set_endpoint("/custom/{x}")
    return HttpResponse("renamed")


def later(request: HttpRequest, name: str) -> HttpResponse:
    time.sleep(0.01)
    libmalti.set_consumer(name)
    return HttpResponse(name)


async def later_async(request: HttpRequest, name: str) -> HttpResponse:
    await asyncio.sleep(0.01)
    if int(name[1:]) % 2:
        await sync_to_async(libmalti.set_consumer)(name)
    else:
        await asyncio.create_task(_set(name))
    return HttpResponse(name)


async def _set(name: str) -> None:
    libmalti.set_consumer(name)


orders = [
    path("<int:order_id>", text),
    re_path(r"^rx/(?P<year>[0-9]{4})/(?:page-(?P<n>\d+)/)?$", text),
    path("slash/", text),
]
urlpatterns = [
    path("users/<int:user_id>", require_http_methods(["GET", "HEAD"])(user)),
    path("items", create),
    path("files/<path:path>", text),
    re_path(r"^odd/(?P<one>[a-z]+)-(\d+)$", text),
    path("stream", stream),
    path("endless", endless),
    path("file", file),
    path("boom", boom),
    path("boom-async", boom_async),
    path("boom-late", boom_late),
    path("slow/<seconds>", slow_async if ON_ASGI else slow),
    path("who", who),
    path("who-null", who_null),
    path("both", both),
    path("code/<int:code>", code),
    path("renamed", renamed),
    path("later/<name>", later_async if ON_ASGI else later),
    path("tenants/<slug:tenant>/", include([path("orders/", include(orders))])),
    re_path(r"^old/(?P<tenant>\w+)/", include(orders)),
]


if __name__ == "__main__":
    # The settings name this module.
    sys.modules["django_routes"] = sys.modules[__name__]
    django.setup()
    if ON_ASGI:
        import serving
        from django.core.asgi import get_asgi_application

        application = get_asgi_application()
        if os.environ.get("TEST_MOUNTED"):
            from libmalti.asgi import MaltiMiddleware
            from starlette.applications import Starlette
            from starlette.routing import Mount

            mount = Mount("/mounted/{where}", app=application)
            application = MaltiMiddleware(Starlette(routes=[mount]))
        serving.run(application)
    else:
        import wsgi_serving
        from django.core.wsgi import get_wsgi_application

        wsgi_serving.run(get_wsgi_application())
