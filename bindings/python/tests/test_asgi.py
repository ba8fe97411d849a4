"""The middleware alone, between a hand-made server and a hand-made application."""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Optional

import libmalti
import pytest
from libmalti._client import client
from libmalti.asgi import App, MaltiMiddleware, Message, Receive, Scope, Send


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The process's client, writing to a file; gives the records so far."""
    file = tmp_path / "records.ndjson"
    assert libmalti.init(url=f"file:{file}", api_key="key", service_name="unit", batch_size=500)

    def records() -> list[dict[str, Any]]:
        assert libmalti.flush(30)
        # Made with the first record.
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    yield records
    while client._owners:
        client.release(30)


Sink = Callable[[], list[dict[str, Any]]]


def scope(**more: Any) -> dict[str, Any]:
    base = {"type": "http", "method": "GET", "path": "/raw/1", "query_string": b"", "headers": []}
    return {**base, **more}


async def nothing() -> Message:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


def talk(app: App, receive: Receive = nothing, **more: Any) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_await(app(scope(**more), receive, send)))
    return sent


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable


def answering(*messages: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"x"}
MORE: Message = {"type": "http.response.body", "body": b"x", "more_body": True}
TRAILING: Message = {**START, "trailers": True}
TRAILERS: Message = {"type": "http.response.trailers", "headers": []}
FILE: Message = {"type": "http.response.pathsend", "path": "/etc/hostname"}


@pytest.mark.parametrize(
    "messages",
    [
        (START, BODY),
        (START, MORE, BODY),
        (START, FILE),
        (TRAILING, BODY, {**TRAILERS, "more_trailers": True}, TRAILERS),
        (START, MORE),
    ],
)
def test_messages_pass_unchanged_and_leave_one_record(
    sink: Sink, messages: tuple[Message, ...]
) -> None:
    assert talk(MaltiMiddleware(answering(*messages))) == list(messages)
    (record,) = sink()
    assert (record["endpoint"], record["status"]) == ("/raw/1", 200)


@pytest.mark.parametrize("last", [BODY, FILE, TRAILERS])
def test_the_record_is_made_when_the_answer_ends(sink: Sink, last: Message) -> None:
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(TRAILING if last is TRAILERS else START)
        await send(MORE)
        seen.append(libmalti.stats()["recorded"])
        await send(last)
        seen.append(libmalti.stats()["recorded"])

    talk(MaltiMiddleware(app))
    assert seen == [0, 1]


def test_no_answer_is_a_500(sink: Sink) -> None:
    talk(MaltiMiddleware(answering()))
    assert [record["status"] for record in sink()] == [500]


@pytest.mark.parametrize(("before", "status"), [((), 499), ((START,), 200)])
def test_a_cancelled_request(sink: Sink, before: tuple[Message, ...], status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        talk(MaltiMiddleware(app))
    assert [record["status"] for record in sink()] == [status]


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="PyPy ends what nobody awaits when it likes"
)
def test_a_request_that_is_never_ended_is_given_up_without_a_word(
    sink: Sink, recwarn: pytest.WarningsRecorder
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def send(message: Message) -> None:
        pass

    async def begin() -> None:
        left.append(asyncio.ensure_future(_await(MaltiMiddleware(app)(scope(), nothing, send))))
        await asyncio.sleep(0)

    left: list[Any] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(begin())
    loop.close()
    left.clear()
    gc.collect()
    assert [record["status"] for record in sink()] == [499]
    assert not [w for w in recwarn if w.category is pytest.PytestUnraisableExceptionWarning]


@pytest.mark.parametrize("error", [LookupError("no"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [(), (START,), (START, MORE)])
def test_an_exception_is_a_500_and_travels_on(
    sink: Sink, before: tuple[Message, ...], error: BaseException
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise error

    async def run() -> Optional[BaseException]:
        async def send(message: Message) -> None:
            pass

        try:
            await MaltiMiddleware(app)(scope(), nothing, send)
        except BaseException as caught:
            return caught
        return None

    assert asyncio.run(run()) is error
    assert [record["status"] for record in sink()] == [500]


def test_an_exception_after_the_end_changes_nothing(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        raise LookupError("background")

    with pytest.raises(LookupError, match="background"):
        talk(MaltiMiddleware(app))
    assert [record["status"] for record in sink()] == [200]


def test_a_client_that_leaves_while_its_body_is_read_is_499(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("client left")

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ConnectionError):
        talk(MaltiMiddleware(app), gone)
    assert [record["status"] for record in sink()] == [499]


def test_a_late_answer_while_the_application_receives_is_no_second_receive(sink: Sink) -> None:
    """Nor does a look that is under way overlap with the application's own receive."""
    running = most = 0

    async def receive() -> Message:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0.3)
            return {"type": "http.request", "body": b"late", "more_body": False}
        finally:
            running -= 1

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.21)
        body, _ = await asyncio.gather(receive(), send(START))
        assert body["body"] == b"late"
        await asyncio.gather(send(BODY), receive())

    talk(MaltiMiddleware(app), receive)
    assert most == 1
    assert [record["status"] for record in sink()] == [200]


def test_two_middlewares_record_once(sink: Sink) -> None:
    talk(MaltiMiddleware(MaltiMiddleware(answering(START, BODY))))
    assert len(sink()) == 1


@pytest.mark.parametrize("kind", ["websocket", "webtransport"])
def test_other_connections_pass_through(sink: Sink, kind: str) -> None:
    got: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend([scope, receive, send])

    async def send(message: Message) -> None:
        pass

    given = scope(type=kind)
    asyncio.run(_await(MaltiMiddleware(app)(given, nothing, send)))
    assert got == [given, nothing, send]
    assert sink() == []


def test_endpoint_of_a_bare_application(sink: Sink) -> None:
    def endpoint(scope: Scope) -> Optional[str]:
        return "/raw/{n}" if scope["path"].startswith("/raw/") else None

    app = MaltiMiddleware(answering(START, BODY), endpoint=endpoint)
    talk(app)
    talk(app, path="/other")
    assert [record["endpoint"] for record in sink()] == ["/raw/{n}", "/other"]


def test_a_fault_of_telemetry_does_not_reach_the_request(sink: Sink) -> None:
    def endpoint(scope: Scope) -> str:
        raise RuntimeError("telemetry")

    before = libmalti.stats()["invalid"]
    app = MaltiMiddleware(answering(START, BODY), endpoint=endpoint)
    assert talk(app) == [START, BODY]
    assert sink() == []
    assert libmalti.stats()["invalid"] == before + 1


@pytest.mark.parametrize("named", [5, RuntimeError("telemetry"), "/named"])
def test_who_names_the_endpoint_is_asked_once(sink: Sink, named: object) -> None:
    asked: list[str] = []

    def endpoint(scope: Scope) -> Any:
        asked.append(scope["path"])
        if isinstance(named, Exception):
            raise named
        return named

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["malti_consumer"] = 7  # no text: not for the quick way
        await answering(START, BODY)(scope, receive, send)

    assert talk(MaltiMiddleware(app, endpoint=endpoint)) == [START, BODY]
    assert asked == ["/raw/1"]
    assert [record["endpoint"] for record in sink()] == ["/named"] * (named == "/named")


class Unreadable(dict):  # type: ignore[type-arg]
    """A scope that raises, whatever it is asked."""

    def __getitem__(self, key: object) -> Any:
        raise LookupError("no")

    __contains__ = __getitem__


ODD_SCOPES: list[Any] = [
    MappingProxyType(scope()),
    {**scope(), "type": []},
    {name: value for name, value in scope().items() if name != "path"},
    {name: value for name, value in scope().items() if name != "type"},
    Unreadable(scope()),
    (),
    None,
]


@pytest.mark.parametrize("odd", ODD_SCOPES, ids=lambda odd: type(odd).__name__)
def test_what_is_no_scope_passes_through(sink: Sink, odd: Any) -> None:
    got: list[object] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        got.extend([scope, receive, send])

    async def send(message: Message) -> None:
        pass

    asyncio.run(_await(MaltiMiddleware(app)(odd, nothing, send)))
    assert [got[0] is odd, *got[1:]] == [True, nothing, send]
    assert sink() == []
    assert libmalti._context.current.get() is None


@pytest.mark.parametrize("odd", [None, "odd", [], {}, {"type": []}, {"status": 200}])
def test_what_is_no_message_passes_through(sink: Sink, odd: Any) -> None:
    async def given() -> Any:
        return odd

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(odd)
        await send(await receive())
        await send(START)
        await send(odd)
        await send(BODY)

    assert talk(MaltiMiddleware(app), given) == [odd, odd, START, odd, BODY]
    assert [record["status"] for record in sink()] == [200]


def test_set_functions_outside_a_request_do_nothing() -> None:
    libmalti.set_consumer("x")
    libmalti.set_context("x")
    libmalti.set_endpoint("x")
    assert libmalti._context.current.get() is None


def test_a_value_set_by_function_comes_before_the_state(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"].update(malti_consumer="state", malti_context="c", malti_endpoint="/state")
        libmalti.set_consumer("function")
        await send(START)
        await send(BODY)

    talk(MaltiMiddleware(app))
    (record,) = sink()
    assert [record[name] for name in ("consumer", "context", "endpoint")] == [
        "function",
        "c",
        "/state",
    ]


@pytest.mark.parametrize("end", ["lifespan.shutdown.complete", "lifespan.shutdown.failed"])
def test_lifespan_starts_and_stops_the_client(sink: Sink, end: str) -> None:
    # One owner is the fixture's: shutdown of the other delivers and leaves the client running.
    owners: list[int] = []
    delivered: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        owners.append(client._owners)
        libmalti.record("GET", "/in-life", 200, 1)
        await send({"type": end, "message": "?"})

    async def send(message: Message) -> None:
        if message["type"] == end:
            owners.append(client._owners)
            delivered.append(libmalti.stats()["sent"])

    asyncio.run(_await(MaltiMiddleware(app)({"type": "lifespan"}, nothing, send)))
    assert owners == [2, 1]
    assert delivered == [1]


def test_a_lifespan_that_breaks_gives_its_owner_back(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        assert client._owners == 2
        raise LookupError("life")

    async def send(message: Message) -> None:
        pass

    with pytest.raises(LookupError, match="life"):
        asyncio.run(_await(MaltiMiddleware(app)({"type": "lifespan"}, nothing, send)))
    assert client._owners == 1


def test_a_lifespan_that_its_loop_gives_up_gives_its_owner_back(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await receive()

    async def send(message: Message) -> None:
        pass

    async def begin() -> None:
        lives.append(MaltiMiddleware(app)({"type": "lifespan"}, nothing, send))
        lives[0].send(None)
        assert client._owners == 2

    lives: list[Any] = []
    asyncio.run(begin())
    lives[0].close()
    assert client._owners == 1


@pytest.mark.parametrize("odd", [None, "odd", {}])
def test_what_is_no_message_of_a_lifespan_passes_through(sink: Sink, odd: Any) -> None:
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(odd)

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(_await(MaltiMiddleware(app)({"type": "lifespan"}, nothing, send)))
    assert told == [odd]


def test_a_lifespan_whose_loop_has_no_threads_any_more(sink: Sink) -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await asyncio.get_running_loop().shutdown_default_executor()
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Message) -> None:
        told.append(message["type"])

    asyncio.run(_await(MaltiMiddleware(app)({"type": "lifespan"}, nothing, send)))
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert client._owners == 1


def test_lifespan_can_be_left_alone(sink: Sink) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        assert client._owners == 1

    async def send(message: Message) -> None:
        pass

    asyncio.run(_await(MaltiMiddleware(app, False)({"type": "lifespan"}, nothing, send)))
