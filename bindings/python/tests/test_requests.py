"""What a request leaves behind: real requests to a real server, real records at a real receiver."""

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conversation import Conversation, send, shape
from harness import App, Receiver, until


@pytest.fixture(scope="module")
def talk() -> Iterator[Conversation]:
    conversation = Conversation("fast")
    yield conversation
    conversation.end()


@pytest.mark.parametrize(
    ("request_line", "body", "expected"),
    [
        ("GET /users/7?x=1", None, ("GET", "/users/{user_id}", 200)),
        ("HEAD /users/7", None, ("HEAD", "/users/{user_id}", 200)),
        ("DELETE /users/7", None, ("DELETE", "/users/{user_id}", 405)),
        ("GET /users/word", None, ("GET", "/users/{user_id}", 422)),
        ("POST /items", b"{}", ("POST", "/items", 201)),
        ("POST /items", b"{bad", ("POST", "/items", 422)),
        ("GET /files/a/b%20c.txt", None, ("GET", "/files/{path}", 200)),
        ("GET /tenants/acme/orders/9", None, ("GET", "/tenants/{tenant}/orders/{order_id}", 200)),
        ("PUT /tenants/acme/orders/9", None, ("PUT", "/tenants/{tenant}/orders/{order_id}", 405)),
        (
            "GET /tenants/acme/deep/inner/leaf/1",
            None,
            ("GET", "/tenants/{tenant}/deep/inner/leaf/{leaf}", 200),
        ),
        (
            "GET /v1/outer/3/inner/leaf/1",
            None,
            ("GET", "/v1/outer/{outer_id}/inner/leaf/{leaf}", 200),
        ),
        ("GET /v2/inner/leaf/1", None, ("GET", "/v2/inner/leaf/{leaf}", 200)),
        ("PUT /v2/inner/leaf/1", None, ("PUT", "/v2/inner/leaf/{leaf}", 405)),
        ("GET /v1/plain/4", None, ("GET", "/v1/plain/{p}", 200)),
        ("GET /plain/4", None, ("GET", "/plain/{p}", 200)),
        ("GET /nested/1/2/3", None, ("GET", "/nested/{a}/{b}/{c}", 200)),
        ("GET /static/site/app.js", None, ("GET", "/static/{path}", 200)),
        ("GET /users/7/", None, ("GET", "/users/7/", 307)),
        ("GET /boom", None, ("GET", "/boom", 500)),
        ("GET /code/403", None, ("GET", "/code/{code}", 403)),
        ("GET /renamed", None, ("GET", "/custom/{x}", 200)),
        ("GET /openapi.json", None, ("GET", "/openapi.json", 200)),
    ],
)
def test_endpoint_and_status(
    talk: Conversation, request_line: str, body: bytes, expected: tuple[str, str, int]
) -> None:
    method, target = request_line.split()
    record = talk.one(method, target, body, {"Content-Type": "application/json"})
    assert shape(record) == (*expected, "anonymous")
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
        ("/users/7?consumer_id=q", {"uSeR-iD": "hdr"}, "hdr", None),
        ("/who-odd/surrogate", {}, "a\ufffdb", None),
        ("/who-odd/number", {}, "42", None),
    ],
)
def test_consumer(
    talk: Conversation, target: str, headers: dict[str, Any], consumer: str, context: str
) -> None:
    record = talk.one("GET", target, None, headers)
    assert (record["consumer"], record["context"]) == (consumer, context)


def test_clean_mode_leaves_out_401_and_404(talk: Conversation) -> None:
    def requests(app: App) -> None:
        for target in ("/nope", "/code/401", "/code/404", "/tenants/acme/nope", "/code/403"):
            app.request("GET", target)

    assert [shape(record)[1:3] for record in talk.records_of(requests)] == [("/code/{code}", 403)]


def test_without_clean_mode_they_are_recorded(receiver: Receiver) -> None:
    app = App("fast", receiver.url, MALTI_CLEAN_MODE="0")
    for target in ("/nope?x=1", "/tenants/acme/nope", "/code/401", "/code/404"):
        app.request("GET", target)
    app.stop()
    assert [shape(record)[1:3] for record in receiver.wait_for(4)] == [
        ("/nope", 404),
        ("/tenants/acme/nope", 404),
        ("/code/{code}", 401),
        ("/code/{code}", 404),
    ]


def test_a_stream_lasts_until_its_end(talk: Conversation) -> None:
    record = talk.one("GET", "/stream")
    assert shape(record) == ("GET", "/stream", 200, "anonymous")
    assert record["response_time"] >= 190


def test_a_background_task_is_not_part_of_the_answer(talk: Conversation) -> None:
    assert talk.one("GET", "/background")["response_time"] < 3000


def test_an_exception_in_the_middle_is_a_500(talk: Conversation) -> None:
    def request(app: App) -> None:
        connection = app.connect()
        connection.request("GET", "/boom-late")
        answer = connection.getresponse()
        assert answer.status == 200
        # To its end: by then the request is recorded.
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        connection.close()

    (record,) = talk.records_of(request)
    assert shape(record) == ("GET", "/boom-late", 500, "anonymous")


def test_exceptions_reach_the_server_unchanged(talk: Conversation) -> None:
    assert talk.one("GET", "/boom")["status"] == 500
    text = "LookupError: boom\n"
    until("the traceback", lambda: text in talk.app.errors)


@pytest.mark.parametrize(
    ("method", "more"),
    [("GET", "\r\n"), ("POST", "Content-Length: 3\r\n\r\nabc")],
)
def test_a_client_that_left_before_the_answer_is_499(
    talk: Conversation, method: str, more: str
) -> None:
    connection = send(talk.app, method, "/slow/1.5", more)
    time.sleep(0.3)
    connection.close()
    record = talk.record_when(lambda record: record["endpoint"] == "/slow/{seconds}")
    assert shape(record) == (method, "/slow/{seconds}", 499, "anonymous")
    assert 250 <= record["response_time"] < 5000


def test_a_client_that_left_in_the_middle_keeps_the_status(talk: Conversation) -> None:
    connection = send(talk.app, "GET", "/endless")
    assert b"200 OK" in connection.recv(4096)
    connection.close()
    record = talk.record_when(lambda record: record["endpoint"] == "/endless")
    assert record["status"] == 200
    assert 0 <= record["response_time"] < 5000


def test_a_patient_client_of_a_slow_handler_gets_its_200(talk: Conversation) -> None:
    assert talk.one("GET", "/slow/0.4")["status"] == 200
    assert talk.one("POST", "/slow/0.4", b"body")["status"] == 200


def test_the_look_for_the_client_leaves_the_body_to_the_application(talk: Conversation) -> None:
    answers: list[tuple[int, bytes]] = []
    (record,) = talk.records_of(
        lambda app: answers.append(app.request("POST", "/slow-echo/", b"b" * 100_000))
    )
    assert answers == [(200, b"b" * 100_000)]
    assert record["status"] == 200


def test_consumers_of_interleaved_requests_do_not_mix(talk: Conversation) -> None:
    def requests(app: App) -> None:
        with ThreadPoolExecutor(100) as pool:
            list(pool.map(lambda n: app.request("GET", f"/later/c{n}"), range(100)))

    found = talk.records_of(requests)
    assert sorted(record["consumer"] for record in found) == sorted(f"c{n}" for n in range(100))
    for record in found:
        even = int(record["consumer"][1:]) % 2 == 0
        assert record["context"] == (f"context of {record['consumer']}" if even else None)


def test_one_connection_and_many(talk: Conversation) -> None:
    def three(app: App) -> None:
        connection = app.connect()
        for _ in range(3):
            connection.request("GET", "/users/1")
            connection.getresponse().read()
        connection.close()

    def fifty(app: App) -> None:
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda _: app.request("GET", "/users/1"), range(50)))

    assert len(talk.records_of(three)) == 3
    assert len(talk.records_of(fifty)) == 50


def test_values_that_have_no_text_cost_the_record_not_the_answer(talk: Conversation) -> None:
    answers: list[tuple[int, bytes]] = []
    assert talk.records_of(lambda app: answers.append(app.request("GET", "/who-odd/broken"))) == []
    assert answers == [(200, b'"broken"')]
    until("a warning", lambda: any("no text" in line for line in talk.app.errors))


def test_wrong_types_inside_a_request_are_logged_once(talk: Conversation) -> None:
    answers: list[tuple[int, bytes]] = []

    def twice(app: App) -> None:
        answers.extend(app.request("GET", "/wrong-types") for _ in range(2))

    assert len(talk.records_of(twice)) == 2
    assert answers == [(200, b"false")] * 2
    complaint = "status is a whole number, not float"
    until("a warning", lambda: any(complaint in line for line in talk.app.errors))
    assert sum(complaint in line for line in talk.app.errors) == 1


def test_the_snippet_of_the_readme(receiver: Receiver) -> None:
    app = App("snippet", receiver.url)
    assert app.request("GET", "/hello/you") == (200, b'"you"')
    app.stop()
    (record,) = receiver.records()
    assert shape(record) == ("GET", "/hello/{name}", 200, "anonymous")


def test_starlette_wrapped_from_outside(receiver: Receiver) -> None:
    app = App("star", receiver.url)
    status, body = app.request("GET", "/users/7")
    assert (status, json.loads(body)) == (200, ["connected", {"user_id": 7}])
    app.request("POST", "/a/1/b/2")
    app.request("GET", "/a/1/b/2")
    app.stop()
    assert [shape(record)[:3] for record in receiver.records()] == [
        ("GET", "/users/{user_id}", 200),
        ("POST", "/a/{x}/b/{y}", 200),
        ("GET", "/a/{x}/b/{y}", 405),
    ]


def test_ip_as_consumer_and_context_headers(receiver: Receiver) -> None:
    app = App(
        "fast",
        receiver.url,
        MALTI_USE_IP_AS_CONSUMER="yes",
        MALTI_IP_ANONYMIZE="yes",
        MALTI_CONTEXT_HEADERS="x-request-id,traceparent",
    )
    app.request("GET", "/users/1")
    app.request("GET", "/users/1", None, {"X-Forwarded-For": "203.0.113.7", "Traceparent": "t-1"})
    app.stop()
    assert [(r["consumer"], r["context"]) for r in receiver.records()] == [
        ("127.0.0.xxx", None),
        ("203.0.113.xxx", "t-1"),
    ]
