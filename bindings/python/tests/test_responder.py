"""Responder under uvicorn, through `api.add_middleware`."""

import pytest
from contract import Contract
from conversation import Conversation, shape


class TestResponder(Contract):
    name = "responder_routes"
    told_at_once = False

    @pytest.mark.parametrize(
        ("request_line", "endpoint", "status"),
        [
            ("HEAD /users/7", "/users/{user_id}", 200),
            ("GET /tenants/of/orders/9", "/tenants/{tenant}/orders/{order_id}", 200),
            ("PUT /tenants/of/orders/9", "/tenants/{tenant}/orders/{order_id}", 405),
            ("GET /fast/leaf/1", "/fast/leaf/{leaf}", 200),
            ("PUT /fast/leaf/1", "/fast/leaf/{leaf}", 405),
            ("GET /users/7/", "/users/7/", 307),
        ],
    )
    def test_mounts(
        self, talk: Conversation, request_line: str, endpoint: str, status: int
    ) -> None:
        """A mounted API has the middleware too, a mounted FastAPI none."""
        method, target = request_line.split()
        assert shape(talk.one(method, target)) == (method, endpoint, status, "anonymous")
