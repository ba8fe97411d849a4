"""The routes of the suite in Django, under waitress or, with `CONFORMANCE_ASGI=1`, uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator

import django
import libmalti
import serving
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import include, path
from django.views.decorators.http import require_http_methods

ON_ASGI = os.environ.get("CONFORMANCE_ASGI") == "1"
MALTI = [] if serving.BARE else ["libmalti.django.MaltiMiddleware"]

Handler = Callable[[HttpRequest], HttpResponse]


class Failed:
    """The project's own error handler."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        return HttpResponse(repr(error), status=500)


settings.configure(
    ALLOWED_HOSTS=["*"],
    # The second one gives answers a length, without which waitress closes the connection.
    MIDDLEWARE=[
        *MALTI,
        "django.middleware.common.CommonMiddleware",
        f"{__name__}.Failed",
        *MALTI,
    ],
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
)


def user(request: HttpRequest, user_id: int) -> HttpResponse:
    return HttpResponse(str(user_id))


def create(request: HttpRequest) -> HttpResponse:
    try:
        json.loads(request.body)
    except ValueError as error:
        return HttpResponse(str(error), status=422)
    return HttpResponse("created", status=201)


def say(request: HttpRequest, **params: object) -> HttpResponse:
    return HttpResponse(str(params))


def streamed(count: int, error: Exception | None = None) -> HttpResponseBase:
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

    return StreamingHttpResponse(slowly() if ON_ASGI else chunks())


def stream(request: HttpRequest) -> HttpResponseBase:
    return streamed(3)


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom")


def boom_late(request: HttpRequest) -> HttpResponseBase:
    return streamed(1, RuntimeError("boom-late"))


def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(10)
    return HttpResponse("slow")


async def slow_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(10)
    return HttpResponse("slow")


def who(request: HttpRequest) -> HttpResponse:
    request.malti_consumer = " st "  # type: ignore[attr-defined]
    request.malti_context = "plan=pro"  # type: ignore[attr-defined]
    return HttpResponse("who")


def who_null(request: HttpRequest) -> HttpResponse:
    request.malti_consumer = None  # type: ignore[attr-defined]
    return HttpResponse("who-null")


def code(request: HttpRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code)


def renamed(request: HttpRequest) -> HttpResponse:
    request.malti_endpoint = "/custom/{x}"  # type: ignore[attr-defined]
    return HttpResponse("renamed")


def later(request: HttpRequest) -> HttpResponse:
    time.sleep(0.02)
    libmalti.set_consumer(request.GET["name"])
    return HttpResponse(request.GET["name"])


async def later_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0.02)
    await sync_to_async(libmalti.set_consumer, thread_sensitive=False)(request.GET["name"])
    return HttpResponse(request.GET["name"])


urlpatterns = [
    path("users/<int:user_id>", require_http_methods(["GET", "HEAD"])(user)),
    path("items", create),
    path("files/<path:path>", say),
    path("tenants/<tenant>/", include([path("orders/<int:order_id>", say)])),
    path("stream", stream),
    path("boom", boom),
    path("boom-late", boom_late),
    path("slow", slow_async if ON_ASGI else slow),
    path("who", who),
    path("who-null", who_null),
    path("code/<int:code>", code),
    path("renamed", renamed),
    path("later", later_async if ON_ASGI else later),
]

if __name__ == "__main__":
    django.setup()
    if ON_ASGI:
        from django.core.asgi import get_asgi_application

        serving.asgi(get_asgi_application())
    else:
        import wsgi_serving
        from django.core.wsgi import get_wsgi_application

        wsgi_serving.run(get_wsgi_application())
