"""aiohttp.web and its own server."""

import pytest
from contract import Contract
from conversation import Conversation, send, shape
from harness import Receiver, script


class TestAiohttp(Contract):
    name = "aiohttp_routes"

    @pytest.mark.parametrize(
        ("request_line", "endpoint", "status"),
        [
            ("HEAD /users/7", "/users/{user_id}", 200),
            ("GET /tenants/of/acme/orders/9", "/tenants/of/{tenant}/orders/{order_id}", 200),
            ("PUT /tenants/of/acme/orders/9", "/tenants/of/{tenant}/orders/{order_id}", 405),
            ("GET /static/aiohttp_routes.py", "/static/{path}", 200),
            ("GET /raise/302", "/raise/{code}", 302),
            ("GET /raise/403", "/raise/{code}", 403),
            ("GET /raise/504", "/raise/{code}", 504),
        ],
    )
    def test_resources(
        self, talk: Conversation, request_line: str, endpoint: str, status: int
    ) -> None:
        """Sub-applications in sub-applications, one of which has the middleware too; files; answers
        that are raised.
        """
        method, target = request_line.split()
        assert shape(talk.one(method, target)) == (method, endpoint, status, "anonymous")

    def test_a_body_that_is_made_after_the_handler(self, talk: Conversation) -> None:
        record = talk.one("GET", "/generated")
        assert shape(record) == ("GET", "/generated", 200, "generator")
        assert record["response_time"] >= 190

    def test_pipelined_requests_each_leave_one(self, talk: Conversation) -> None:
        def requests(app: object) -> None:
            line = "GET /users/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            connection = send(talk.app, "GET", "/users/1", "\r\n" + line)
            while connection.recv(4096):
                pass
            connection.close()

        assert len(talk.records_of(requests)) == 2


def test_requests_are_no_garbage(receiver: Receiver) -> None:
    """With the garbage collector off, none is left but the one that the connection still has."""
    done = script(
        """
import asyncio, gc, weakref
from aiohttp import ClientSession, web
from libmalti.aiohttp import setup

seen = []

async def handler(request):
    seen.append(weakref.ref(request))
    return web.Response()

async def main():
    app = web.Application()
    setup(app)
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gc.disable()
    async with ClientSession() as session:
        for _ in range(10):
            async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/"):
                pass
        print(sum(request() is not None for request in seen) <= 1)
    await runner.cleanup()

asyncio.run(main())
""",
        receiver.url,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert len(receiver.records()) == 10
