"""Sanic and its own server, in one process and in several, and under uvicorn."""

import pytest
from contract import Contract
from conversation import Conversation, shape
from harness import App, Receiver, until


class TestSanic(Contract):
    name = "sanic_routes"

    @pytest.mark.parametrize(
        ("request_line", "endpoint", "status"),
        [
            ("GET /tenants/acme/orders/9", "/tenants/{tenant}/orders/{order_id}", 200),
            ("PUT /tenants/acme/orders/9", "/tenants/{tenant}/orders/{order_id}", 405),
            ("GET /static/sanic_routes.py", "/static/{path}", 200),
            ("GET /forbidden", "/forbidden", 403),
            ("GET /nothing", "/nothing", 500),
        ],
    )
    def test_blueprints(
        self, talk: Conversation, request_line: str, endpoint: str, status: int
    ) -> None:
        """Groups of them, files, exceptions that are answers, a handler that gives none."""
        method, target = request_line.split()
        assert shape(talk.one(method, target)) == (method, endpoint, status, "anonymous")

    def test_an_answer_that_takes_too_long_is_what_sanic_says(self, receiver: Receiver) -> None:
        app = App(self.name, receiver.url, SANIC_RESPONSE_TIMEOUT="0.2")
        assert app.request("GET", "/slow/30.0")[0] == 503
        (record,) = receiver.wait_for(1)
        assert shape(record) == ("GET", "/slow/{seconds}", 503, "anonymous")
        app.stop()

    def test_each_worker_delivers_its_own(self, receiver: Receiver) -> None:
        patient = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}
        app = App(self.name, receiver.url, TEST_WORKERS="1", **patient)
        # Sanic cannot be stopped before it knows of all that it started with; once it starts more,
        # it does.
        app.request("GET", "/scale/2")
        until("both workers", lambda: app.request("GET", "/acked")[1] == b"2")
        for n in range(25):
            app.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
        app.stop()
        found = [r["consumer"] for r in receiver.records() if r["consumer"] != "anonymous"]
        assert sorted(found) == sorted(f"c{n}" for n in range(25))


def test_under_an_asgi_server(receiver: Receiver) -> None:
    app = App("sanic_routes", receiver.url, TEST_SERVER="asgi", MALTI_CLEAN_MODE="0")
    for target in ("/users/7", "/who", "/renamed", "/nope", "/boom"):
        app.request("GET", target)
    app.stop()
    assert [shape(record)[1:] for record in receiver.records()] == [
        ("/users/{user_id}", 200, "anonymous"),
        ("/who", 204, "st"),
        ("/custom/{x}", 200, "anonymous"),
        ("/nope", 404, "anonymous"),
        ("/boom", 500, "anonymous"),
    ]
