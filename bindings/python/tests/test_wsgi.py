"""The WSGI middleware: in a bare application on real servers, and alone."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, ClassVar, Optional
from wsgiref.util import FileWrapper

import libmalti
import pytest
from asked import Asked
from libmalti import _environ
from libmalti._client import Rules, client
from libmalti.wsgi import App, MaltiMiddleware


class TestWaitress(Asked):
    APP = "wsgi_routes"
    ROUTES: ClassVar = {
        "GET /written": ("/written", 200),
        "GET /one-part": ("/one-part", 200),
        "GET /restart": ("/restart", 503),
    }


class TestGunicorn(TestWaitress):
    ENV: ClassVar = {"TEST_SERVER": "gunicorn"}


class TestWsgiref(TestWaitress):
    ENV: ClassVar = {"TEST_SERVER": "wsgiref"}
    LEFT = 200


Sink = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """The process's client, writing to a file; gives the records so far."""
    file = tmp_path / "records.ndjson"
    assert libmalti.init(url=f"file:{file}", api_key="key", service_name="unit", batch_size=500)

    def records() -> list[dict[str, Any]]:
        assert libmalti.flush(30)
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    yield records
    while client._owners:
        client.release(30)


def environ(**more: Any) -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/raw/1", **more}


class Server:
    """As much of one as an application needs."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.written: list[bytes] = []
        self.broken: Optional[BaseException] = None

    def start_response(self, *arguments: Any) -> Callable[[bytes], object]:
        if len(arguments) > 2 and self.started:
            raise arguments[2][1]
        self.started.append(arguments)
        return self.write

    def write(self, data: bytes) -> None:
        if self.broken is not None:
            raise self.broken
        self.written.append(data)


def answering(body: Iterable[bytes]) -> App:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return body

    return app


def ask(app: App, **more: Any) -> list[bytes]:
    body = MaltiMiddleware(app)(environ(**more), Server().start_response)
    try:
        return list(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def statuses(sink: Sink) -> list[int]:
    return [record["status"] for record in sink()]


@pytest.mark.parametrize("body", [[b"x"], (b"x",), []])
def test_a_list_is_handed_over_as_it_is(sink: Sink, body: Iterable[bytes]) -> None:
    assert MaltiMiddleware(answering(body))(environ(), Server().start_response) is body
    assert statuses(sink) == [200]


def test_a_file_of_the_servers_is_handed_over_as_it_is(sink: Sink, tmp_path: Path) -> None:
    with Path(__file__).open("rb") as file:
        for wrapper, body in (
            (FileWrapper, FileWrapper(file)),
            # uWSGI's is a function that gives the file itself.
            (lambda file: file, file),
        ):
            app = MaltiMiddleware(answering(body))
            given = app(environ(**{"wsgi.file_wrapper": wrapper}), Server().start_response)
            assert given is body
    assert statuses(sink) == [200, 200]


def test_other_bodies_end_when_they_are_exhausted_or_closed(sink: Sink) -> None:
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append("closed")

    counts = []
    for steps in (0, 1, 3):
        body: Any = MaltiMiddleware(answering(Body()))(environ(), Server().start_response)
        assert not hasattr(body, "__len__")
        for _ in range(steps):
            next(body, None)
        counts.append(libmalti.stats()["recorded"])
        body.close()
        body.close()
    assert counts == [0, 1, 3]
    assert closed == ["closed"] * 6
    assert statuses(sink) == [200] * 3


def test_a_body_of_known_length_stays_one(sink: Sink) -> None:
    class Body(list[bytes]):
        pass

    body: Any = MaltiMiddleware(answering(Body([b"x"])))(environ(), Server().start_response)
    assert len(body) == 1
    assert list(body) == [b"x"]
    assert statuses(sink) == [200]


@pytest.mark.parametrize("error", [LookupError("no"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["call", "started", "first", "second"])
def test_an_exception_is_a_500_and_travels_on(sink: Sink, place: str, error: BaseException) -> None:
    def chunks() -> Iterator[bytes]:
        if place == "second":
            yield b"x"
        raise error

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if place == "call":
            raise error
        start("200 OK", [])
        if place == "started":
            raise error
        return chunks()

    with pytest.raises(type(error)) as caught:
        ask(app)
    assert caught.value is error
    assert statuses(sink) == [500]


def test_an_exception_in_close_comes_after_the_end(sink: Sink) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            raise LookupError("late")

    with pytest.raises(LookupError, match="late"):
        ask(answering(Body()))
    assert statuses(sink) == [200]


def test_a_generator_that_nobody_began_is_499(sink: Sink) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"x"

    body: Any = MaltiMiddleware(app)(environ(), Server().start_response)
    body.close()
    assert statuses(sink) == [499]


def test_no_answer_is_a_500(sink: Sink) -> None:
    assert ask(lambda environ, start: iter(())) == []
    assert ask(lambda environ, start: []) == []
    assert statuses(sink) == [500, 500]


@pytest.mark.parametrize("status", ["no number", 200, None])
def test_a_status_that_is_none_is_the_servers_to_judge(sink: Sink, status: Any) -> None:
    given: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [])
        return [b"x"]

    body = MaltiMiddleware(app)(environ(), lambda *told: given.append(told) or (lambda data: None))
    assert (given, body) == ([(status, [])], [b"x"])
    assert statuses(sink) == [500]


def test_what_the_server_cannot_write_is_no_fault_of_the_application(sink: Sink) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])(b"x")
        return []

    server = Server()
    MaltiMiddleware(app)(environ(), server.start_response)
    assert server.written == [b"x"]
    server.broken = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        MaltiMiddleware(app)(environ(), server.start_response)
    assert statuses(sink) == [200, 200]


def test_a_second_start(sink: Sink) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        try:
            raise LookupError("mended")
        except LookupError as error:
            start("503 Sorry", [("X", "y")], (type(error), error, None))
        return []

    # The headers are out: the server raises.
    with pytest.raises(LookupError, match="mended"):
        MaltiMiddleware(app)(environ(), Server().start_response)

    started: list[Any] = []
    MaltiMiddleware(app)(environ(), lambda *given: started.append(given) or (lambda data: None))
    assert [given[:2] for given in started] == [("200 OK", []), ("503 Sorry", [("X", "y")])]
    assert started[1][2][0] is LookupError
    assert statuses(sink) == [500, 503]


def test_two_middlewares_record_once_and_an_environ_serves_twice(sink: Sink) -> None:
    app = MaltiMiddleware(MaltiMiddleware(answering([b"x"])))
    twice = environ()
    for _ in range(2):
        app(twice, Server().start_response)
    assert len(sink()) == 2


@pytest.mark.parametrize(
    ("script", "path", "endpoint"),
    [
        ("", "/caf\xc3\xa9", "/café"),
        ("", "/\xff", "/\ufffd"),
        ("/mount", "/x", "/mount/x"),
        ("/mount/", "/x", "/mount/x"),
        ("/mount", "", "/mount"),
        ("", "", "/"),
    ],
)
def test_the_path_where_nothing_else_is_known(
    sink: Sink, script: str, path: str, endpoint: str
) -> None:
    ask(answering([]), SCRIPT_NAME=script, PATH_INFO=path)
    assert [record["endpoint"] for record in sink()] == [endpoint]


def test_the_prefix_of_the_deployment_is_left_out(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_environ, "_DEPLOYED", "/shop")
    for script in ("/shop", "/shop/mount", "/shopping"):
        ask(answering([]), SCRIPT_NAME=script)
    assert [record["endpoint"] for record in sink()] == [
        "/raw/1",
        "/mount/raw/1",
        "/shopping/raw/1",
    ]


def test_endpoint_and_faults_of_telemetry(sink: Sink) -> None:
    def endpoint(environ: dict[str, Any]) -> Optional[str]:
        if environ["PATH_INFO"] == "/fault":
            raise RuntimeError("telemetry")
        return "/raw/{n}" if environ["PATH_INFO"].startswith("/raw/") else None

    before = libmalti.stats()["invalid"]
    app = MaltiMiddleware(answering([b"x"]), endpoint=endpoint)
    for path in ("/raw/1", "/other", "/fault"):
        assert app(environ(PATH_INFO=path), Server().start_response) == [b"x"]
    assert [record["endpoint"] for record in sink()] == ["/raw/{n}", "/other"]
    assert libmalti.stats()["invalid"] == before + 1


def test_only_headers_that_the_rules_ask_for_are_looked_up(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(dict[str, Any]):
        asked: ClassVar[set[object]] = set()

        def __contains__(self, key: object) -> bool:
            self.asked.add(key)
            return super().__contains__(key)

        def get(self, key: str, default: Any = None) -> Any:
            self.asked.add(key)
            return super().get(key, default)

    rules = Rules(headers=frozenset({b"x-one", b"content-type"}), context_headers=frozenset({b"y"}))
    monkeypatch.setattr(client, "rules", rules)
    given = Watched(environ(HTTP_X_ONE="v"))
    MaltiMiddleware(answering([]))(given, Server().start_response)
    headers = {key for key in given.asked if str(key).startswith(("HTTP_", "CONTENT_"))}
    assert headers == {"HTTP_X_ONE", "CONTENT_TYPE", "HTTP_Y"}


@pytest.mark.parametrize(
    ("settings", "given", "consumer", "context"),
    [
        ({"use_ip_as_consumer": True}, {"REMOTE_ADDR": "10.0.0.9"}, "10.0.0.9", None),
        (
            {"use_ip_as_consumer": True},
            {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "192.0.2.1, 10.0.0.1"},
            "192.0.2.1",
            None,
        ),
        ({"context_headers": "x-request-id"}, {"HTTP_X_REQUEST_ID": "r1"}, "anonymous", "r1"),
        ({"consumer_headers": "x-key"}, {"HTTP_X_KEY": "k", "HTTP_USER_ID": "u"}, "k", None),
        ({}, {"QUERY_STRING": "consumer_id=%C3%A9"}, "é", None),
    ],
)
def test_consumer_by_settings(
    tmp_path: Path, settings: dict[str, Any], given: dict[str, str], consumer: str, context: str
) -> None:
    file = tmp_path / "records.ndjson"
    assert libmalti.init(url=f"file:{file}", api_key="key", service_name="unit", **settings)
    try:
        ask(answering([]), **given)
        assert libmalti.flush(30)
    finally:
        while client._owners:
            client.release(30)
    record = json.loads(file.read_text("utf-8"))
    assert (record["consumer"], record.get("context")) == (consumer, context)
