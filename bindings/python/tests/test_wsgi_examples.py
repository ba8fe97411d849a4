"""The examples of the WSGI frameworks: each is started, asked, and leaves its record."""

import pytest
from harness import App, Receiver


@pytest.mark.parametrize(
    ("example", "endpoint"),
    [
        ("flask_app:app", "/users/{user_id}/orders/{order_id}"),
        ("django_app:application", "/users/{user_id}/orders/{order_id}"),
        ("django_app:async_application", "/users/{user_id}/orders/{order_id}"),
        ("bottle_app:app", "/users/{user_id}/orders/{order_id}"),
        ("falcon_app:application", "/users/{user}/orders/{order}"),
    ],
)
def test_an_example_runs_and_is_recorded(receiver: Receiver, example: str, endpoint: str) -> None:
    app = App("example", receiver.url, EXAMPLE=example)
    status, _ = app.request("GET", "/users/7/orders/9?x=1")
    assert status == 200
    app.stop()
    (record,) = receiver.wait_for(1)
    shape = record["method"], record["endpoint"], record["status"], record["consumer"]
    assert shape == ("GET", endpoint, 200, "user-7")
