"""Django on waitress, and its ASGI on uvicorn, alone and mounted in Starlette."""

import sys
from typing import ClassVar

import pytest
from asked import Asked
from harness import App, Receiver, script

ROUTES = {
    "GET /odd/word-3": ("/odd/{one}-{0}", 200),
    "GET /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 200),
    "GET /tenants/acme/orders/rx/1999/": ("/tenants/{tenant}/orders/rx/{year}/page-{n}/", 200),
    "GET /old/acme/9": ("/old/{tenant}/{order_id}", 200),
    "GET /old/acme/rx/1999/page-3/": ("/old/{tenant}/rx/{year}/page-{n}/", 200),
    "GET /old/acme/slash": ("/old/acme/slash", 301),
    "GET /boom-async": ("/boom-async", 500),
    "GET /both": ("/own/{x}", 200),
}


class TestDjango(Asked):
    APP = "django_routes"
    ROUTES: ClassVar = ROUTES


class TestDjangoAsgi(Asked):
    APP = "django_routes"
    ENV: ClassVar = {"TEST_ASGI": "1"}
    ROUTES: ClassVar = ROUTES


def test_mounted_in_starlette_it_tells_the_outer_middleware(receiver: Receiver) -> None:
    app = App("django_routes", receiver.url, TEST_ASGI="1", TEST_MOUNTED="1")
    for target in ("/mounted/here/users/7", "/mounted/here/old/acme/9", "/mounted/here/both"):
        assert app.request("GET", target)[0] == 200
    app.stop()
    assert [(record["endpoint"], record["consumer"]) for record in receiver.wait_for(3)] == [
        ("/mounted/{where}/users/{user_id}", "anonymous"),
        ("/mounted/{where}/old/{tenant}/{order_id}", "anonymous"),
        ("/own/{x}", "function"),
    ]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="on it Django alone leaves them behind")
def test_streamed_answers_are_no_garbage(receiver: Receiver) -> None:
    done = script(
        """
import gc, sys, types, weakref
from wsgiref.util import setup_testing_defaults
from django.conf import settings
from django.http import StreamingHttpResponse
from django.urls import path

seen = []

def view(request):
    answer = StreamingHttpResponse(iter([b"a", b"b"]))
    seen.append(weakref.ref(answer))
    return answer

urls = sys.modules["urls"] = types.ModuleType("urls")
urls.urlpatterns = [path("", view)]
middleware = ["libmalti.django.MaltiMiddleware"]
settings.configure(ROOT_URLCONF="urls", MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"])
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
gc.disable()
for _ in range(3):
    environ = {}
    setup_testing_defaults(environ)
    answer = application(environ, lambda status, headers: None)
    assert b"".join(answer) == b"ab"
    answer.close()
    del answer
print([answer() for answer in seen])
""",
        receiver.url,
    )
    assert (done.stdout, done.stderr) == ("[None, None, None]\n", "")
    assert len(receiver.records()) == 3
