"""What is asked of every app, and the record that each request leaves: the table of the suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog import Deviation

LATERS = 100
AT_ONCE = 50


@dataclass(frozen=True)
class Record:
    method: str
    endpoint: str
    status: int = 200
    consumer: str = "anonymous"
    #: None: no context, or the request's id where a run has it recorded.
    context: str | None = None
    #: Milliseconds: the least and the most.
    response_time: tuple[int, int] = (0, 60_000)

    def differs(self, row: Mapping[str, Any]) -> list[str]:
        """The fields in which a row that arrived is another one."""
        same = ("method", "endpoint", "status", "consumer", "context")
        names = [name for name in same if row[name] != getattr(self, name)]
        least, most = self.response_time
        return names if least <= row["response_time"] < most else [*names, "response_time"]


@dataclass(frozen=True)
class Check:
    name: str
    method: str
    target: str
    #: None: the request leaves no record.
    record: Record | None
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    #: The status that the client sees; None: that of the record.
    answer: int | None = None

    def status(self) -> int:
        if self.answer is not None:
            return self.answer
        assert self.record is not None
        return self.record.status

    def deviated(self, deviation: Deviation | None) -> Check:
        """The same with what an app declares in place of the suite's record."""
        if deviation is None or self.record is None:
            return self
        fields = dict(deviation.fields)
        answer = fields.pop("answer", self.answer)
        if "response_time" in fields:
            fields["response_time"] = tuple(fields["response_time"])
        return replace(self, answer=answer, record=replace(self.record, **fields))


def _get(
    name: str, target: str, record: Record | None, *headers: bytes, answer: int | None = None
) -> Check:
    return Check(name, "GET", target, record, headers, answer=answer)


def _user(consumer: str = "anonymous") -> Record:
    return Record("GET", "/users/{user_id}", consumer=consumer)


def _code(status: int) -> Record:
    return Record("GET", "/code/{code}", status)


_STREAM = Record("GET", "/stream")
_HDR = b"X-Consumer-Id: hdr"

#: Whose records have nothing special about the consumer: sent in both runs.
PLAIN = [
    _get("get", "/users/7?x=1", _user()),
    Check("head", "HEAD", "/users/7", Record("HEAD", "/users/{user_id}")),
    Check("delete", "DELETE", "/users/7", Record("DELETE", "/users/{user_id}", 405)),
    Check("items", "POST", "/items", Record("POST", "/items", 201), body=b"{}"),
    Check("items-malformed", "POST", "/items", Record("POST", "/items", 422), body=b"{bad"),
    _get("files", "/files/a/b%20c.txt", Record("GET", "/files/{path}")),
    _get(
        "tenants",
        "/tenants/acme/orders/9",
        Record("GET", "/tenants/{tenant}/orders/{order_id}"),
    ),
    _get("stream", "/stream", replace(_STREAM, response_time=(190, 60_000))),
    _get("boom", "/boom", Record("GET", "/boom", 500)),
    _get("boom-late", "/boom-late", Record("GET", "/boom-late", 500), answer=200),
    _get("code-403", "/code/403", _code(403)),
    _get("renamed", "/renamed", Record("GET", "/custom/{x}")),
]

#: Who called: the run with clean mode.
CALLERS = [
    _get("who", "/who?consumer_id=q", Record("GET", "/who", 200, "st", "plan=pro"), _HDR),
    _get("who-null", "/who-null", Record("GET", "/who-null", 200, "hdr"), _HDR),
    _get("header-empty", "/users/7", _user("u1"), b"X-Consumer-Id:", b"X-User-Id: u1"),
    _get("query", "/users/7?consumer_id=a%20b+c", _user("a b c")),
    _get("query-utf8", "/users/7?user_id=%E2%98%83", _user("☃")),
    _get("header-utf8", "/users/7", _user("Zoë"), b"X-Consumer-Id: Zo\xc3\xab"),
    _get("header-latin1", "/users/7", _user("Zoë"), b"X-Consumer-Id: Zo\xeb"),
]

#: What clean mode leaves out, and its records without clean mode.
LEFT_OUT = [
    _get("clean-nope", "/nope", None, answer=404),
    _get("clean-code-401", "/code/401", None, answer=401),
    _get("clean-code-404", "/code/404", None, answer=404),
]
NOT_CLEAN = [
    _get("nope", "/nope", Record("GET", "/nope", 404)),
    _get("code-401", "/code/401", _code(401)),
    _get("code-404", "/code/404", _code(404)),
]

#: Whose client leaves.
SLOW = _get("slow", "/slow", Record("GET", "/slow", 499, response_time=(250, 5000)), answer=0)
STREAM_LEFT = _get("stream-left", "/stream", replace(_STREAM, response_time=(0, 5000)))


def many(name: str, count: int) -> Iterator[Check]:
    """The requests of a check that has several; their place in line is a part of each."""
    for number in range(count):
        if name == "later":
            record = Record("GET", "/later", consumer=f"caller-{number}")
            yield _get(name, f"/later?name=caller-{number}", record)
        else:
            yield _get(name, f"/users/{number}", _user())


#: Checks whose record an app may declare to be another one.
DEVIABLE = {
    *(check.name for check in (*PLAIN, *CALLERS, *NOT_CLEAN, SLOW, STREAM_LEFT)),
    *("later", "one-connection", "at-once"),
}
NAMES = [*DEVIABLE, *(check.name for check in LEFT_OUT)]
