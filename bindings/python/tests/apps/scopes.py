"""Odd ASGI scopes through the builtin and through its way round: the same records."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Callable

from libmalti import _record
from libmalti.testing import capture

BASE = {"method": "GET", "headers": [(b"x-consumer-id", b"header"), (b"x-request-id", b"r1")]}


class Odd:
    def __str__(self) -> str:
        return "odd"


STATES = (
    None,
    {},
    {"malti_consumer": "st"},
    {"malti_consumer": 7, "malti_context": Odd()},
    {"malti_endpoint": "/st/{x}", "context": "text"},
    {"context": {"no": "text"}},
    Odd(),
)
CLIENTS = (None, ("10.1.2.3", 1), ["10.1.2.3", 1], (None, 0), ("unix", None))
QUERIES = (None, b"", b"consumer_id=a%20b", "text")
HEADERS = (
    [],
    [(b"X-User-Id", b"Zo\xeb")],
    [[b"x-user-id", b"pair"]],
    ((b"x-user-id", b"t"),),
    [(b"x-user-id", b"")],
    [(b"x-forwarded-for", b"10.9.8.7")],
    [(b"x-user-id",)],
    [(b"x-user-id", b"a\0x-consumer-id\0forged"), (b"user-id", b"real")],
)


def scopes() -> Iterator[dict[str, Any]]:
    yield from ({**BASE, "state": state} for state in STATES)
    yield from ({**BASE, "headers": [], "client": client} for client in CLIENTS)
    yield from ({**BASE, "headers": [], "query_string": query} for query in QUERIES)
    yield from ({**BASE, "headers": headers} for headers in HEADERS)
    yield {"headers": []}
    yield {"method": "GET"}


def saids() -> Iterator[dict[str, Any]]:
    values = (None, "said", 7), (None, "why", ""), (None, "/s/{x}", Odd())
    for consumer, context, endpoint in product(*values):
        yield {"consumer": consumer, "context": context, "endpoint": endpoint}
    yield {}
    yield {"own": {"malti_consumer": "own"}.get}
    yield {"consumer": "\ud800"}


def outcome(call: Callable[..., bool], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception as error:
        return type(error)


def results(call: Callable[..., bool]) -> tuple[list[Any], list[Any]]:
    settings: dict[str, Any] = {
        "use_ip_as_consumer": True,
        "context_headers": "x-request-id",
        "clean_mode": False,
    }
    with capture(**settings) as records:
        outcomes = [
            outcome(call, _record.SCOPE_NAMES, scope, said, "/users/{id}", status, 1500)
            for scope, said, status in product(scopes(), saids(), (200, 99, "no"))
        ]
    return outcomes, [(r.endpoint, r.status, r.consumer, r.context) for r in records]


plain, slow = results(_record.record_scope), results(_record.record_scope_slowly)
assert plain[0] == slow[0]
assert plain[1] == slow[1], next(pair for pair in zip(plain[1], slow[1]) if pair[0] != pair[1])
assert len(plain[1]) > 500
assert {"real", "header", "said"} < {consumer for _, _, consumer, _ in plain[1]}
assert not any("forged" in consumer for _, _, consumer, _ in plain[1])
