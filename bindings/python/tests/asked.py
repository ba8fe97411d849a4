"""What every framework's application in `apps/` is asked, and what is to arrive because of it."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Callable, ClassVar

import pytest
from harness import PATIENCE, App, Receiver, until

Record = dict[str, Any]


class Conversation:
    """An application, and a receiver for its records."""

    def __init__(self, name: str, **environment: str) -> None:
        self.receiver = Receiver()
        self.app = App(name, self.receiver.url, **environment)
        self._seen = 0
        self._marks = count()

    def close(self) -> None:
        self.app.stop()
        self.receiver.kill()

    def records_of(self, talk: Callable[[App], Any], at_least: int = 0) -> list[Record]:
        """What arrives because of `talk`: at least so many, and all that comes before the record of
        a last request with a name of its own.
        """
        talk(self.app)
        mark = f"mark-{next(self._marks)}"
        self.app.request("GET", f"/users/0?consumer_id={mark}")

        def others() -> list[Record]:
            found = self.receiver.records(self._seen)
            marked = any(record["consumer"] == mark for record in found)
            return found if marked and len(found) > at_least else []

        found = until("the mark", others)
        self._seen = found[-1]["id"]
        return [record for record in found if not record["consumer"].startswith("mark-")]

    def one(self, *request: Any) -> Record:
        return self.one_of(lambda app: app.request(*request))

    def one_of(self, talk: Callable[[App], Any]) -> Record:
        found = self.records_of(talk, at_least=1)
        assert len(found) == 1, found
        record = found[0]
        assert (record["service"], record["node"]) == ("conf", "n1"), record
        return record


def send(app: App, target: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", app.port), PATIENCE)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def leave_after_the_start(app: App, target: str) -> None:
    connection = send(app, target)
    while not connection.recv(65536):
        pass
    connection.close()


def read_to_the_end(app: App, target: str) -> None:
    connection = send(app, target)
    while connection.recv(65536):
        pass
    connection.close()


def whole_answer(app: App, method: str, target: str) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = app.connect()
    try:
        # Some pages have their own address in them, whose port differs from run to run.
        connection.request(method, target, headers={"Host": "example.org"})
        response = connection.getresponse()
        headers = [pair for pair in response.getheaders() if pair[0].lower() != "date"]
        return response.status, headers, response.read()
    finally:
        connection.close()


class Asked:
    """The tests that each framework's application passes. `APP` is its file, `ENV` what it gets."""

    APP: ClassVar[str]
    ENV: ClassVar[dict[str, str]] = {}
    #: "METHOD target" → endpoint, status.
    ROUTES: ClassVar[dict[str, tuple[str, int]]]
    #: Of a 405 by the framework itself.
    NOT_ALLOWED = "/users/{user_id}"
    #: What says in the server's errors that the exception reached who logs it.
    RAISED = "LookupError: boom"
    #: Of a client that left before the answer, where the server can be asked.
    LEFT = 499
    #: 404 under its path.
    NOWHERE = "/nope/%C3%A9"

    @pytest.fixture(scope="class", name="talk")  # in Python 3.9 a classmethod has none
    @classmethod
    def talk(cls) -> Iterator[Conversation]:
        conversation = Conversation(cls.APP, **cls.ENV)
        yield conversation
        conversation.close()

    def test_endpoint_and_status(self, talk: Conversation) -> None:
        common = {
            "GET /users/7?x=1": ("/users/{user_id}", 200),
            "HEAD /users/7": ("/users/{user_id}", 200),
            "DELETE /users/7": (self.NOT_ALLOWED, 405),
            "POST /items": ("/items", 201),
            "GET /files/a/b%20c.txt": ("/files/{path}", 200),
            "GET /code/403": ("/code/{code}", 403),
            "GET /renamed": ("/custom/{x}", 200),
        }
        for line, (endpoint, status) in {**common, **self.ROUTES}.items():
            method, target = line.split()
            record = talk.one(method, target)
            shape = record["method"], record["endpoint"], record["status"], record["context"]
            assert shape == (method, endpoint, status, None), line

    @pytest.mark.parametrize(
        ("target", "headers", "consumer", "context"),
        [
            ("/who?consumer_id=q", {"X-Consumer-Id": "hdr"}, "st", "plan=pro"),
            ("/who-null?consumer_id=q", {"X-Consumer-Id": "hdr"}, "hdr", None),
            ("/users/7", {"X-Consumer-Id": "", "X-User-Id": "u1"}, "u1", None),
            ("/users/7?consumer_id=a%20b+c", {}, "a b c", None),
            ("/users/7?user_id=%E2%98%83", {}, "☃", None),
            ("/users/7", {"X-Consumer-Id": b"Zo\xc3\xab"}, "Zoë", None),
            ("/users/7", {"X-Consumer-Id": b"Zo\xeb"}, "Zoë", None),
            ("/users/7?consumer_id=q", {"uSeR-iD": "hdr"}, "hdr", None),
            ("/users/7", {}, "anonymous", None),
        ],
    )
    def test_consumer(
        self,
        talk: Conversation,
        target: str,
        headers: dict[str, Any],
        consumer: str,
        context: str,
    ) -> None:
        record = talk.one("GET", target, None, headers)
        assert (record["consumer"], record["context"]) == (consumer, context)

    def test_a_stream_lasts_until_its_end_and_may_say_more(self, talk: Conversation) -> None:
        record = talk.one("GET", "/stream")
        assert (record["endpoint"], record["status"]) == ("/stream", 200)
        assert record["response_time"] >= 290
        assert (record["consumer"], record["context"]) == ("streamer", "/stream")

    def test_a_file_is_recorded(self, talk: Conversation) -> None:
        record = talk.one("GET", "/file")
        assert (record["endpoint"], record["status"]) == ("/file", 200)

    def test_an_exception_is_a_500_and_travels_on(self, talk: Conversation) -> None:
        record = talk.one("GET", "/boom")
        assert (record["endpoint"], record["status"]) == ("/boom", 500)
        until("the traceback", lambda: any(self.RAISED in line for line in talk.app.errors))

    def test_an_exception_in_the_middle_is_a_500(self, talk: Conversation) -> None:
        record = talk.one_of(lambda app: read_to_the_end(app, "/boom-late"))
        assert (record["endpoint"], record["status"]) == ("/boom-late", 500)

    def test_a_client_that_leaves_in_the_middle_keeps_the_status(self, talk: Conversation) -> None:
        record = talk.one_of(lambda app: leave_after_the_start(app, "/endless"))
        assert (record["endpoint"], record["status"]) == ("/endless", 200)

    def test_a_client_that_left_before_the_answer_is_499(self, talk: Conversation) -> None:
        def request(app: App) -> None:
            connection = send(app, "/slow/1.0")
            until("the handler", lambda: "slow begins\n" in app.errors)
            connection.close()

        record = talk.one_of(request)
        assert (record["endpoint"], record["status"]) == ("/slow/{seconds}", self.LEFT)

    def test_clean_mode_leaves_out_401_and_404(self, talk: Conversation) -> None:
        def requests(app: App) -> None:
            for target in (self.NOWHERE, "/code/401", "/code/404", "/code/403"):
                app.request("GET", target)

        found = [(record["endpoint"], record["status"]) for record in talk.records_of(requests, 1)]
        assert found == [("/code/{code}", 403)]

    def test_otherwise_they_are_there_and_nobody_sees_a_difference(
        self, receiver: Receiver
    ) -> None:
        targets = [self.NOWHERE, "/users/7", "/stream", "/file", "/who", "/code/404", "/boom"]
        lines = [f"GET {target}" for target in targets]
        lines += ["HEAD /users/7", "DELETE /users/7", *self.ROUTES]
        env = {**self.ENV, "MALTI_CLEAN_MODE": "0"}
        answers = []
        for enabled in ("true", "false"):
            app = App(self.APP, receiver.url, MALTI_ENABLED=enabled, **env)
            answers.append([whole_answer(app, *line.split()) for line in lines])
            app.stop()
        assert answers[0] == answers[1]
        found = receiver.wait_for(len(lines))
        assert len(found) == len(lines)
        missed = [record["endpoint"] for record in found if record["status"] == 404]
        assert missed == [self.NOWHERE.replace("%C3%A9", "é"), "/code/{code}"]

    def test_interleaved_requests_see_their_own(self, receiver: Receiver) -> None:
        app = App(self.APP, receiver.url, **{**self.ENV, "TEST_THREADS": "8"})
        names = [f"c{number}" for number in range(100)]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda name: app.request("GET", f"/later/{name}"), names))
        app.stop()
        assert [status for status, _ in answers] == [200] * len(names)
        assert sorted(record["consumer"] for record in receiver.wait_for(100)) == sorted(names)
