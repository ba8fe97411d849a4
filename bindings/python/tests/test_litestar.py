"""Litestar under uvicorn, with the plugin."""

import pytest
from contract import Contract
from conversation import Conversation, shape

KEY = "12345678-1234-5678-1234-567812345678"

TENANTS = "/tenants/{tenant}/orders/{order_id}"


class TestLitestar(Contract):
    name = "litestar_routes"
    told_at_once = False

    @pytest.mark.parametrize(
        ("request_line", "body", "endpoint", "status", "consumer"),
        [
            ("OPTIONS /users/7", None, "/users/{user_id}", 204, "anonymous"),
            ("GET /users/7/", None, "/users/{user_id}", 200, "anonymous"),
            ("PUT /users/7/", None, "/users/{user_id}", 405, "anonymous"),
            ("POST /items", b"{bad", "/items", 400, "anonymous"),
            ("GET /tenants/a/orders/9", None, TENANTS, 200, "anonymous"),
            ("PUT /tenants/a/orders/9", None, TENANTS, 405, "anonymous"),
            ("GET /sync/s", None, "/sync/{name}", 200, "s"),
            (f"GET /mount/leaf/{KEY}", None, "/mount/leaf/{leaf}", 200, "anonymous"),
            (f"PUT /mount/leaf/{KEY}", None, "/mount/leaf/{leaf}", 405, "anonymous"),
            ("GET /opaque/a/b", None, "/opaque/{path}", 200, "anonymous"),
        ],
    )
    def test_routers_and_mounts(
        self,
        talk: Conversation,
        request_line: str,
        body: bytes,
        endpoint: str,
        status: int,
        consumer: str,
    ) -> None:
        """Routers in routers, a sync handler, a mounted application with the plugin, and one of
        another kind.
        """
        method, target = request_line.split()
        record = talk.one(method, target, body, {"Content-Type": "application/json"})
        assert shape(record) == (method, endpoint, status, consumer)
