"""Quart under uvicorn, with the extension."""

import pytest
from contract import Contract
from conversation import Conversation, shape


class TestQuart(Contract):
    name = "quart_routes"

    @pytest.mark.parametrize(
        ("request_line", "endpoint", "status", "consumer"),
        [
            ("HEAD /users/7", "/users/{user_id}", 200, "anonymous"),
            ("GET /users/word", "/users/word", 404, "anonymous"),
            ("GET /odd/c-de/", "/odd/{one}-{two}/", 200, "anonymous"),
            ("GET /odd/c-de", "/odd/c-de", 308, "anonymous"),
            ("GET /tenants/a/orders/9", "/tenants/{tenant}/orders/{order_id}", 200, "anonymous"),
            ("PUT /tenants/a/orders/9", "/tenants/{tenant}/orders/{order_id}", 405, "anonymous"),
            (
                "GET /tenants/a/orders/9?refuse",
                "/tenants/{tenant}/orders/{order_id}",
                403,
                "anonymous",
            ),
            ("GET /sync/s", "/sync/{name}", 200, "s"),
            (
                "GET /mount/x/deep/12345678-1234-5678-1234-567812345678",
                "/mount/{m}/deep/{key}",
                200,
                "mounted",
            ),
        ],
    )
    def test_rules(
        self, talk: Conversation, request_line: str, endpoint: str, status: int, consumer: str
    ) -> None:
        """Blueprints in blueprints, a sync view, and an application that Starlette has mounted."""
        method, target = request_line.split()
        found = talk.records_of(lambda app: app.request(method, target))
        rows = [] if status == 404 else [(method, endpoint, status, consumer)]
        assert [shape(record) for record in found] == rows
