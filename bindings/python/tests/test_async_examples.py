"""The examples start, answer, and leave the records that they promise."""

import json

import pytest
from conversation import shape
from harness import App, Receiver


@pytest.mark.parametrize(
    "name", ["fastapi", "starlette", "responder", "litestar", "quart", "aiohttp", "sanic"]
)
def test_example(receiver: Receiver, name: str) -> None:
    more = {"MALTI_CLEAN_MODE": "0"}
    app = App("async_example", receiver.url, TEST_EXAMPLE=name, **more)
    status, body = app.request("GET", "/users/7/orders/9")
    assert (status, json.loads(body)) == (200, {"user": 7, "order": 9})
    assert app.request("DELETE", "/users/7/orders/9")[0] == 405
    assert app.request("GET", "/nope")[0] == 404
    app.stop()
    route = "/users/{user}/orders/{order}"
    assert [shape(record) for record in receiver.records()] == [
        ("GET", route, 200, "user-7"),
        ("DELETE", route, 405, "anonymous"),
        ("GET", "/nope", 404, "anonymous"),
    ]
