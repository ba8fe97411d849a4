"""What every framework owes, whatever its routes are written in: one class of tests for each.

A subclass names its server of `apps/` and the paths in its framework's own manner.
"""

import contextlib
import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Optional

import pytest
from conversation import Conversation, send, shape
from harness import App, Receiver, until


class Contract:
    name: ClassVar[str]
    settings: ClassVar[dict[str, str]] = {}
    #: Whether the server tells at once that a client has left, or only when the handler is over.
    told_at_once: ClassVar[bool] = True

    @pytest.mark.parametrize(
        ("request_line", "body", "endpoint", "status"),
        [
            ("GET /users/7?x=1", None, "/users/{user_id}", 200),
            ("DELETE /users/7", None, "/users/{user_id}", 405),
            ("POST /items", b"{}", "/items", 201),
            ("GET /files/a/b%20c.txt", None, "/files/{path}", 200),
            ("GET /boom", None, "/boom", 500),
            ("GET /code/403", None, "/code/{code}", 403),
            ("GET /code/204", None, "/code/{code}", 204),
            ("GET /renamed", None, "/custom/{x}", 200),
        ],
    )
    def test_endpoint_and_status(
        self,
        talk: Conversation,
        request_line: str,
        body: Optional[bytes],
        endpoint: str,
        status: int,
    ) -> None:
        method, target = request_line.split()
        record = talk.one(method, target, body, {"Content-Type": "application/json"})
        assert shape(record) == (method, endpoint, status, "anonymous")
        assert record["context"] is None

    @pytest.mark.parametrize(
        ("target", "headers", "consumer", "context"),
        [
            ("/who?consumer_id=q", {"X-Consumer-Id": "hdr"}, "st", "plan=pro"),
            ("/who-null", {"X-Consumer-Id": "hdr"}, "hdr", None),
            ("/users/7", {"X-Consumer-Id": "", "X-User-Id": "u1"}, "u1", None),
            ("/users/7?consumer_id=a%20b+c", {}, "a b c", None),
            ("/users/7?user_id=%E2%98%83", {}, "☃", None),
            ("/users/7", {"X-Consumer-Id": b"Zo\xc3\xab"}, "Zoë", None),
            ("/users/7", {"X-Consumer-Id": b"Zo\xeb"}, "Zoë", None),
        ],
    )
    def test_consumer(
        self,
        talk: Conversation,
        target: str,
        headers: dict[str, Any],
        consumer: str,
        context: Optional[str],
    ) -> None:
        record = talk.one("GET", target, None, headers)
        assert (record["consumer"], record["context"]) == (consumer, context)

    def test_clean_mode_leaves_out_401_and_404(self, talk: Conversation) -> None:
        def requests(app: App) -> None:
            for target in ("/nope", "/code/401", "/code/404", "/code/403"):
                app.request("GET", target)

        found = talk.records_of(requests)
        assert [shape(record)[1:3] for record in found] == [("/code/{code}", 403)]

    def test_a_stream_lasts_until_its_end(self, talk: Conversation) -> None:
        record = talk.one("GET", "/stream")
        assert shape(record) == ("GET", "/stream", 200, "streamer")
        assert record["response_time"] >= 190

    def test_an_exception_in_the_middle_is_a_500(self, talk: Conversation) -> None:
        def request(app: App) -> None:
            connection = app.connect()
            connection.request("GET", "/boom-late")
            response = connection.getresponse()
            assert response.status == 200
            with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
                response.read()
            connection.close()

        (record,) = talk.records_of(request)
        assert shape(record) == ("GET", "/boom-late", 500, "anonymous")

    def test_exceptions_are_left_to_the_framework(self, talk: Conversation) -> None:
        talk.one("GET", "/boom")
        until("the traceback", lambda: "LookupError: boom" in "".join(talk.app.errors))

    def test_a_client_that_left_before_the_answer_is_499(self, talk: Conversation) -> None:
        connection = send(talk.app, "GET", "/slow/1.5")
        time.sleep(0.3)
        connection.close()
        record = talk.record_when(lambda record: record["endpoint"] == "/slow/{seconds}")
        assert shape(record) == ("GET", "/slow/{seconds}", 499, "anonymous")
        assert 250 <= record["response_time"] < (1400 if self.told_at_once else 10_000)

    def test_a_client_that_left_in_the_middle_keeps_the_status(self, talk: Conversation) -> None:
        connection = send(talk.app, "GET", "/endless")
        assert b" 200 " in connection.recv(4096)
        connection.close()
        record = talk.record_when(lambda record: record["endpoint"] == "/endless")
        assert shape(record) == ("GET", "/endless", 200, "anonymous")
        assert 0 <= record["response_time"] < 5000

    def test_a_patient_client_gets_its_200(self, talk: Conversation) -> None:
        assert talk.one("GET", "/slow/0.4")["status"] == 200

    def test_consumers_of_interleaved_requests_do_not_mix(self, talk: Conversation) -> None:
        def requests(app: App) -> None:
            with ThreadPoolExecutor(100) as pool:
                list(pool.map(lambda n: app.request("GET", f"/later/c{n}"), range(100)))

        found = talk.records_of(requests)
        assert sorted(r["consumer"] for r in found) == sorted(f"c{n}" for n in range(100))
        assert {record["endpoint"] for record in found} == {"/later/{name}"}

    def test_three_on_one_connection(self, talk: Conversation) -> None:
        def requests(app: App) -> None:
            connection = app.connect()
            for n in range(3):
                connection.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
                connection.getresponse().read()
            connection.close()

        found = talk.records_of(requests)
        assert [record["consumer"] for record in found] == ["c0", "c1", "c2"]

    def test_a_websocket_is_not_recorded(self, talk: Conversation) -> None:
        def upgrade(app: App) -> None:
            headers = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            connection = send(app, "GET", "/socket", headers)
            assert b" 101 " in connection.recv(4096)
            connection.close()

        assert talk.records_of(upgrade) == []

    def test_sigterm_delivers_everything(self, receiver: Receiver) -> None:
        patient = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}
        app = App(self.name, receiver.url, **{**self.settings, **patient})
        for n in range(25):
            app.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
        assert receiver.records() == []
        app.stop()
        found = [record["consumer"] for record in receiver.records()]
        assert sorted(found) == sorted(f"c{n}" for n in range(25))

    def test_switched_off_it_records_nothing(self, receiver: Receiver) -> None:
        app = App(self.name, receiver.url, **{**self.settings, "MALTI_ENABLED": "false"})
        assert app.request("GET", "/users/7")[0] == 200
        app.stop()
        assert receiver.records() == []
