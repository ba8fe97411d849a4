"""A bare ASGI application under each server: what ASGI has, and a client that starts and stops."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from conversation import Conversation, send, shape
from harness import App, Receiver, script, until

SERVERS = ["uvicorn", "hypercorn", "granian"]


@pytest.fixture(scope="module", params=SERVERS)
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    conversation = Conversation("asgi_routes", TEST_SERVER=request.param, MALTI_CLEAN_MODE="0")
    yield conversation
    conversation.end()


@pytest.mark.parametrize(
    ("request_line", "endpoint", "status"),
    [
        ("GET /users/7?x=1", "/users/{user_id}", 200),
        ("HEAD /users/7", "/users/{user_id}", 200),
        ("GET /other/%C3%A4", "/other/ä", 200),
        ("GET /boom", "/boom", 500),
    ],
)
def test_endpoint_and_status(
    talk: Conversation, request_line: str, endpoint: str, status: int
) -> None:
    method, target = request_line.split()
    assert shape(talk.one(method, target)) == (method, endpoint, status, "anonymous")


def test_a_body_arrives_whole(talk: Conversation) -> None:
    sent = b"0123456789" * 100_000
    answers: list[tuple[int, bytes]] = []
    talk.records_of(lambda app: answers.append(app.request("POST", "/upload", sent)))
    assert answers == [(200, hashlib.sha256(sent).hexdigest().encode())]


def test_server_sent_events_last_until_their_end(talk: Conversation) -> None:
    record = talk.one("GET", "/events")
    assert shape(record) == ("GET", "/events", 200, "anonymous")
    assert record["response_time"] >= 190


def test_what_goes_on_in_the_background_is_not_part_of_the_answer(talk: Conversation) -> None:
    record = talk.record_while(lambda app: app.request("GET", "/background"))
    assert shape(record)[1:3] == ("/background", 200)
    assert record["response_time"] < 2500


def test_a_file_that_the_server_sends(talk: Conversation) -> None:
    record = talk.one("GET", "/file")
    assert shape(record) == ("GET", "/file", 200, "anonymous")
    assert record["context"] == ("pathsend" if talk.server == "granian" else None)


def test_an_exception_in_the_middle(talk: Conversation) -> None:
    def request(app: App) -> None:
        connection = app.connect()
        connection.request("GET", "/boom-late")
        with contextlib.suppress(HTTPException, ConnectionError):
            connection.getresponse().read()
        connection.close()

    (record,) = talk.records_of(request)
    assert shape(record)[1:3] == ("/boom-late", 500)


def test_the_server_sees_the_exception(talk: Conversation) -> None:
    talk.one("GET", "/boom")
    until("the traceback", lambda: "LookupError: boom" in "".join(talk.app.errors))


def test_a_client_that_left_before_the_answer_is_499(talk: Conversation) -> None:
    """granian tells nobody of it."""
    connection = send(talk.app, "GET", "/slow")
    time.sleep(0.3)
    connection.close()
    record = talk.record_when(lambda record: record["endpoint"] == "/slow")
    assert record["status"] == (200 if talk.server == "granian" else 499)
    assert 250 <= record["response_time"] < 10_000


def test_a_client_that_left_in_the_middle_keeps_the_status(talk: Conversation) -> None:
    connection = send(talk.app, "GET", "/endless")
    assert b" 200" in connection.recv(4096)
    connection.close()
    record = talk.record_when(lambda record: record["endpoint"] == "/endless")
    assert record["status"] == 200
    assert record["response_time"] < 5000


def test_the_state_of_the_lifespan_is_the_applications(talk: Conversation) -> None:
    assert talk.app.request("GET", "/state") == (200, b"connected")
    talk.record_when(lambda record: record["endpoint"] == "/state")


def test_consumers_of_interleaved_requests_do_not_mix(talk: Conversation) -> None:
    def requests(app: App) -> None:
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda n: app.request("GET", f"/later?c{n}"), range(50)))

    found = talk.records_of(requests)
    assert sorted(record["consumer"] for record in found) == sorted(f"c{n}" for n in range(50))


def test_a_websocket_is_not_recorded(talk: Conversation) -> None:
    def upgrade(app: App) -> None:
        headers = (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        connection = send(app, "GET", "/socket", headers)
        got = b""
        while b"hello" not in got:
            part = connection.recv(4096)
            assert part, got
            got += part
        connection.close()

    assert talk.records_of(upgrade) == []


@pytest.mark.parametrize("server", SERVERS)
def test_sigterm_delivers_everything(receiver: Receiver, server: str) -> None:
    patient = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}
    app = App("asgi_routes", receiver.url, TEST_SERVER=server, **patient)
    for n in range(25):
        app.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
    assert receiver.records() == []
    app.stop()
    found = [record["consumer"] for record in receiver.records()]
    assert sorted(found) == sorted(f"c{n}" for n in range(25))


def test_the_middleware_takes_no_framework_along(receiver: Receiver) -> None:
    done = script(
        """
import sys
import libmalti.asgi, malti_telemetry
names = "aiohttp fastapi litestar quart responder sanic starlette"
assert not [name for name in names.split() if name in sys.modules], sys.modules
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")
