"""Requests through the builtins and through their way round: the same messages, the same records,
and no memory or cycle is left behind.
"""

import asyncio
import gc
import sys
from collections import OrderedDict, UserDict
from itertools import product
from typing import Any, Callable

from libmalti import _asgi
from libmalti._context import current
from libmalti.testing import capture


class Key(str):
    """A key that no dictionary can compare with another one."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise LookupError("no")


START = {"type": "http.response.start", "status": 201}
BODY = {"type": "http.response.body", "body": b"x"}
MORE = {**BODY, "more_body": True}
ANSWERS: tuple[tuple[Any, ...], ...] = (
    (),
    (START,),
    (START, BODY),
    (START, MORE, MORE, BODY),
    (START, {**BODY, "more_body": 1}, {**BODY, "more_body": 0}),
    (START, {**BODY, "more_body": None}),
    (START, BODY, START, BODY),
    (UserDict(START), BODY),
    (START, UserDict(BODY)),
    ({**START, "status": "201"}, BODY),
    ({**START, "status": 99}, BODY),
    ({"type": "http.response.start"}, BODY),
    ({**START, "trailers": False}, BODY),
    ({**START, "trailers": True}, BODY, {"type": "http.response.trailers"}),
    ({**START, Key("trailers"): False}, START, BODY),
    ({"type": "http.response.debug"}, START, BODY),
    (START, {"type": "http.response.pathsend", "path": "/"}),
    ({}, {"type": 5}, "odd", None, START, BODY),
    (BODY,),
)
SCOPES: tuple[dict[str, Any], ...] = (
    {},
    {"state": {"malti_consumer": "state"}},
    {"state": None},
    {"root_path": "/root"},
    {"root_path": None},
    {"endpoint": None},
    {"path": "/caf\u00e9\ud800"},
)
RECEIVED: tuple[Any, ...] = (None, "http.request", "http.disconnect")
ERRORS = (None, LookupError("no"), asyncio.CancelledError())


class Odd(UserDict):  # type: ignore[type-arg]
    """A scope that is no dictionary."""


def namer(scope: Any) -> str:
    return "/named"


def broken(scope: Any) -> str:
    raise RuntimeError("telemetry")


def scope(more: dict[str, Any]) -> dict[str, Any]:
    return {"method": "GET", "path": "/raw", "headers": [], **more}


async def request(
    begin: Any, over: Any, given: Any, answer: Any, received: Any, error: Any, naming: Any
) -> list[Any]:
    sent: list[Any] = []

    async def inner(message: Any) -> None:
        sent.append(message)

    async def news() -> Any:
        return {"type": received}

    both = begin(naming, given, news, inner)
    said = current.get()
    if received:
        sent.append(await both())
    for message in answer:
        await both(message)
    if answer:
        await both(message=BODY)
    over(both, error)
    over(both, None)
    assert said is given["libmalti"]
    assert current.get() is None
    return sent


async def all_of(begin: Any, over: Any) -> list[Any]:
    cases = product(ANSWERS, RECEIVED, ERRORS)
    found = [await request(begin, over, scope({}), *case, None) for case in cases]
    others = product(SCOPES, (None, namer, broken))
    for more, naming in others:
        for given in (scope(more), Odd(scope(more)), OrderedDict(scope(more))):
            found.append(await request(begin, over, given, (START, BODY), None, None, naming))
            found.append("libmalti" in given and given["state"])
            found.append(sorted(given))
    return found


def results(begin: Any, over: Any) -> tuple[list[Any], list[Any]]:
    with capture(clean_mode=False) as records:
        found = asyncio.run(all_of(begin, over))
    return found, [(r.endpoint, r.status, r.consumer) for r in records]


plain, slow = results(_asgi.begin, _asgi.over), results(_asgi.begin_slowly, _asgi.over_slowly)
assert type(_asgi.begin).__name__ == "builtin_function_or_method"
assert plain[0] == slow[0], next(pair for pair in zip(plain[0], slow[0]) if pair[0] != pair[1])
assert plain[1] == slow[1], next(pair for pair in zip(plain[1], slow[1]) if pair[0] != pair[1])
assert len(plain[1]) > 150
assert {status for _, status, _ in plain[1]} == {201, 499, 500}


async def usual() -> None:
    """The ways that a request most often goes."""
    for answer, received, error in product(ANSWERS[:4], RECEIVED, ERRORS):
        given = scope({})
        await request(_asgi.begin, _asgi.over, given, answer, received, error, None)


class Last:
    """Uses a request when the garbage collector ends both."""

    def __init__(self, both: Any) -> None:
        self.both = both

    def __del__(self) -> None:
        self.both(START)
        self.both(BODY)


async def circle() -> None:
    """A request that its own scope keeps, ended or not, is for the garbage collector."""
    for ends in (True, False):
        given = scope({})
        given["both"] = both = _asgi.begin(None, given, bool, bool)
        given["last"] = Last(both)
        if ends:
            _asgi.over(both, None)


def grown(work: Callable[[], Any], times: int) -> int:
    before = sys.getallocatedblocks()
    for _ in range(times):
        work()
    gc.collect()
    return sys.getallocatedblocks() - before


with capture(clean_mode=False):
    loop = asyncio.new_event_loop()
    once: Callable[[], Any] = lambda: loop.run_until_complete(usual())  # noqa: E731
    once()
    gc.collect()
    gc.disable()
    once()
    assert gc.collect() == 0
    gc.enable()
    assert grown(once, 100) < 500
    assert grown(lambda: loop.run_until_complete(circle()), 100) < 500
    loop.close()
