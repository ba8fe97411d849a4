"""Flask on waitress."""

from typing import ClassVar

from asked import Asked
from harness import App, Receiver, script

KEY = "0b5c34d5-7f3b-4c0e-9c3c-3f0f6c2f5b11"


class TestFlask(Asked):
    APP = "flask_routes"
    ROUTES: ClassVar = {
        "GET /odd/c-ab/": ("/odd/{one}-{two}/", 200),
        "GET /odd/c-ab": ("/odd/c-ab", 308),
        "GET /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 200),
        "PUT /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 405),
        "OPTIONS /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 200),
        "GET /tenants/acme/orders/9?refuse": ("/tenants/{tenant}/orders/{order_id}", 403),
        "GET /apps/serving.py": ("/apps/{filename}", 200),
        "GET /both": ("/own/{x}", 200),
        f"GET /twice/deep/{KEY}": ("/twice/deep/{key}", 200),
        f"GET /plain/deep/{KEY}": ("/plain/deep/{key}", 200),
    }


def test_what_a_mounted_application_says_of_its_caller(receiver: Receiver) -> None:
    app = App("flask_routes", receiver.url)
    for name in ("twice", "plain"):
        app.request("GET", f"/{name}/deep/{KEY}")
    app.stop()
    assert [record["consumer"] for record in receiver.wait_for(2)] == ["mounted", "mounted"]


# An application under test: its exceptions reach who asks, and its settings are its own.
TESTING = """
from flask import Flask
from libmalti.flask import MaltiFlask

def create_app():
    app = Flask(__name__)
    app.config.update(TESTING=True, MALTI_SERVICE_NAME="config", MALTI_NODE="config")
    malti.init_app(app)
    app.get("/boom/<int:n>")(lambda n: 1 // 0)
    return app

malti = MaltiFlask(node="keyword")
app = create_app()
try:
    app.test_client().get("/boom/1")
except ZeroDivisionError:
    print("raised")
"""


def test_an_application_under_test(receiver: Receiver) -> None:
    ran = script(TESTING, receiver.url)
    assert (ran.stdout, ran.returncode) == ("raised\n", 0), ran.stderr
    (record,) = receiver.wait_for(1)
    shape = record["endpoint"], record["status"], record["service"], record["node"]
    assert shape == ("/boom/{n}", 500, "config", "keyword")
