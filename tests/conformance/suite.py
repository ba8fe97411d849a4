"""Runs one app three times at once and compares what arrived: with clean mode and a receiver,
without clean mode while the receiver is down at first, and without telemetry."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import checks
import processes
import talk
from catalog import App
from checks import Check, Record

# Twice what the record must have at least, for an app that is slow to take the request.
LEAVE_AFTER_S = 0.6
_CLEAN = (401, 404)


class Limits(NamedTuple):
    """Seconds. Where things go well nothing waits for them, so they are wide."""

    #: How long to wait for records.
    patience: float = talk.PATIENCE_S
    #: The setting `shutdown_timeout`.
    shutdown: float = 10.0


class Failure(NamedTuple):
    run: str
    check: str
    text: str
    #: Nothing but a time is wrong, which a busy machine can do too.
    timing: bool = False

    def __str__(self) -> str:
        return f"{self.run}, {self.check}: {self.text}"


class Sent(NamedTuple):
    """A request, and the record that it is to leave."""

    check: Check
    #: The value by which its record is told from the others.
    key: str
    headers: tuple[bytes, ...]
    record: Record | None
    #: The suite's record, where the app declares another.
    undeviated: Record | None

    def data(self, *, keep: bool = False) -> bytes:
        check = self.check
        headers = (*check.headers, *self.headers)
        return talk.request(check.method, check.target, headers, check.body, keep=keep)


class Run:
    """One life of an app, and what was wrong with it."""

    #: The field of a record that holds the request's key.
    key = ""

    def __init__(self, name: str, app: App, command: list[str], limits: Limits) -> None:
        self.name = name
        self.app = app
        self.command = command
        self.limits = limits
        self.failures: list[Failure] = []
        self.sent: list[Sent] = []

    def fail(self, check: str, text: str, *, timing: bool = False) -> None:
        self.failures.append(Failure(self.name, check, text, timing))

    def host(self, url: str, **settings: str) -> Any:
        settings["MALTI_SHUTDOWN_TIMEOUT"] = str(self.limits.shutdown)
        return processes.host(self.command, url, **self.app.environment(), **settings)

    def keyed(self, check: Check, key: str) -> Sent:
        """A request of this run, and its record with the key in it."""
        raise NotImplementedError

    async def run(self) -> None:
        """Starts the app, asks, ends it, compares."""
        raise NotImplementedError

    async def guarded(self) -> None:
        """`run`; what keeps it from its end is a failure as well."""
        try:
            await self.run()
        except (processes.CouldNotRun, OSError, EOFError) as error:
            self.fail("run", str(error) or type(error).__name__)

    def prepare(self, all_checks: Sequence[Check]) -> list[Sent]:
        """The requests of checks, which from now on are expected to leave their records."""
        names = [check.name for check in all_checks]
        many = {name for name in names if names.count(name) > 1}
        sent = []
        for number, check in enumerate(all_checks):
            deviation = self.app.deviations.get(check.name)
            key = f"{check.name}-{number}" if check.name in many else check.name
            one = self.keyed(check.deviated(deviation), key)
            if deviation is not None:
                one = one._replace(undeviated=self.keyed(check, key).record)
            sent.append(one)
        self.sent += sent
        return sent

    async def ask(self, sent: Sent, answer: Awaitable[bytes]) -> bytes:
        """An answer, whose status is looked at."""
        try:
            got = await answer
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError) as error:
            self.fail(sent.check.name, f"no answer: {type(error).__name__}: {error}")
            return b""
        wanted, status = sent.check.status(), talk.status(got)
        if wanted and status != wanted:
            self.fail(sent.check.name, f"expected the answer's status to be {wanted}, got {status}")
        return got

    async def ask_all(self, port: int, sent: Sequence[Sent]) -> list[bytes]:
        """All at the same time, each on a connection of its own."""
        return await asyncio.gather(*(self.ask(one, talk.whole(port, one.data())) for one in sent))

    async def end(self, host: processes.Host, filtered: int) -> None:
        """SIGTERM, and what must hold after it."""
        seconds, output = await host.process.stop()
        allowed = self.limits.shutdown + 2
        if seconds > allowed:
            self.fail("sigterm", f"expected the end within {allowed} s, took {seconds:.1f} s")
        if output:
            self.fail("stdout", f"expected nothing after READY, got {output!r}")
        self.balance(host.stats(), filtered)

    def balance(self, ledger: dict[str, Any], filtered: int) -> None:
        """Everything was delivered, and the two sides of the ledger are equal."""
        dropped = [name for name in ledger if name.startswith("dropped_")]
        nothing = ("adopted", "buffered", "in_flight", "spooled", "invalid", *dropped)
        wanted = {"recorded": self.expected(), "sent": self.expected(), "filtered": filtered}
        wanted.update(dict.fromkeys(nothing, 0))
        others = [name for name in wanted if ledger.get(name) != wanted[name]]
        if others:
            expected = ", ".join(f"{name} {wanted[name]}" for name in others)
            got = ", ".join(f"{name} {ledger.get(name)}" for name in others)
            self.fail("ledger", f"expected {expected}, got {got}")
        left = ledger.get("recorded", 0) + ledger.get("adopted", 0)
        parts = ("sent", "buffered", "in_flight", "spooled", *dropped)
        if left != sum(ledger.get(name, 0) for name in parts):
            self.fail("ledger", f"its two sides are not equal: {ledger}")

    def expected(self) -> int:
        return sum(one.record is not None for one in self.sent)

    def compare(self, rows: Sequence[dict[str, Any]]) -> None:
        """Each record that was expected, once, and no other."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(str(row[self.key]), []).append(row)
        homes = {(row["service"], row["node"]) for row in rows}
        for service, node in homes - {(processes.SERVICE, processes.NODE)}:
            self.fail("settings", f"records of {service} on {node}")
        for one in self.sent:
            mine = found.pop(one.key, [])
            if one.record is None:
                if mine:
                    self.fail(one.check.name, f"expected no record, got {_all(mine)}")
            elif len(mine) != 1:
                what = _all(mine) if mine else "none"
                self.fail(one.check.name, f"expected one record ({_text(one.record)}), got {what}")
            elif one.undeviated is not None and not one.undeviated.differs(mine[0]):
                self.fail(one.check.name, "the declared deviation is no longer true: " + _all(mine))
            elif wrong := one.record.differs(mine[0]):
                text = f"expected {_text(one.record)}, got {_all(mine)}: other {', '.join(wrong)}"
                self.fail(one.check.name, text, timing=wrong == ["response_time"])
        for others in found.values():
            self.fail("strangers", f"records that nothing asked for: {_all(others)}")


class CleanRun(Run):
    """Every record waits until SIGTERM, and arrives by that. Requests have an id, which becomes the
    context of their records."""

    key = "context"

    def keyed(self, check: Check, key: str) -> Sent:
        record = check.record
        if record is not None and record.status in _CLEAN:
            record = None
        if record is not None:
            key = record.context or key
            record = replace(record, context=key)
        return Sent(check, key, (b"X-Request-Id: " + key.encode(),), record, None)

    async def run(self) -> None:
        settings = {
            "MALTI_CONTEXT_HEADERS": "x-request-id",
            "MALTI_BATCH_SIZE": "10000",
            "MALTI_BATCH_INTERVAL": "600",
        }
        async with processes.receiver() as receiver:
            async with self.host(receiver.url, **settings) as host:
                await self.requests(host.port)
                if early := await receiver.records():
                    self.fail("sigterm", f"{len(early)} records did not wait for it")
                await self.end(host, sum(one.record is None for one in self.sent))
            self.compare(await receiver.records())

    async def requests(self, port: int) -> None:
        table = [*checks.PLAIN, *checks.CALLERS, *checks.LEFT_OUT]
        await self.ask_all(port, self.prepare(table))
        await self.ask_all(port, self.prepare(list(checks.many("later", checks.LATERS))))
        await self.ask_all(port, self.prepare(list(checks.many("at-once", checks.AT_ONCE))))
        three = self.prepare(list(checks.many("one-connection", 3)))
        data = [one.data(keep=True) for one in three]
        try:
            answers = await talk.on_one_connection(port, data)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self.fail("one-connection", f"no answer: {type(error).__name__}: {error}")
        else:
            if [talk.status(answer) for answer in answers] != [200] * 3:
                self.fail("one-connection", f"expected three times 200, got {answers}")


class DownRun(Run):
    """The receiver is not there at first, and clean mode is off. Requests name their consumer where
    that is not what they are about."""

    key = "consumer"

    def __init__(self, *arguments: Any, bare: asyncio.Future[list[bytes]]) -> None:
        super().__init__(*arguments)
        #: The answers of the app without telemetry; empty: it gave none.
        self.bare = bare

    @staticmethod
    def compared() -> list[Check]:
        """What is asked of the app without telemetry too."""
        callers = [check for check in checks.CALLERS if check.name in ("who", "who-null")]
        return [*checks.PLAIN, *checks.NOT_CLEAN, *callers, *checks.many("later", 1)]

    def keyed(self, check: Check, key: str) -> Sent:
        record = check.record
        assert record is not None
        if record.consumer != "anonymous":
            return Sent(check, record.consumer, (), record, None)
        header = (b"X-Consumer-Id: " + key.encode(),)
        return Sent(check, key, header, replace(record, consumer=key), None)

    async def run(self) -> None:
        settings = {
            "MALTI_CLEAN_MODE": "false",
            "MALTI_BATCH_SIZE": "1",
            "MALTI_BATCH_INTERVAL": "1",
            "MALTI_MAX_RETRIES": "0",
            "MALTI_LOG": "error",
        }
        async with processes.Deaf() as deaf, self.host(deaf.url, **settings) as host:
            await self.requests(host.port)
            await self.tried(deaf)
            await deaf.close()
            async with processes.receiver(deaf.port) as receiver:
                await receiver.has(self.expected(), self.limits.patience)
                await self.end(host, 0)
                self.compare(await receiver.records())

    async def tried(self, deaf: processes.Deaf) -> None:
        try:
            await asyncio.wait_for(deaf.tried.wait(), self.limits.patience)
        except asyncio.TimeoutError:
            self.fail("delivery", "nothing was tried while the receiver was down")

    async def requests(self, port: int) -> None:
        # What a process does once, it does for this one, so that `slow` begins without delay.
        for one in self.prepare([checks.PLAIN[0]] * 2):
            await self.ask(one, talk.whole(port, one.data()))
        slow, left = self.prepare([checks.SLOW, checks.STREAM_LEFT])
        await asyncio.gather(
            self.ask(slow, talk.left_after(port, slow.data(), LEAVE_AFTER_S)),
            self.ask(left, talk.left_after_first_chunk(port, left.data())),
        )
        sent = self.prepare(self.compared())
        answers = await self.ask_all(port, sent)
        for one, bare, ours in zip(sent, await self.bare, answers):
            if difference := _difference(bare, ours):
                self.fail(one.check.name, difference)


class BareRun(DownRun):
    """The same requests to the app without telemetry, for their answers."""

    async def run(self) -> None:
        settings = {"MALTI_ENABLED": "false", "CONFORMANCE_BARE": "1"}
        answers: list[bytes] = []
        try:
            async with self.host("http://127.0.0.1:9", **settings) as host:
                answers = await self.ask_all(host.port, self.prepare(self.compared()))
        finally:
            self.bare.set_result(answers)


async def conform(app: App, limits: Limits) -> list[Failure]:
    """All that is wrong with an app. NotHere: it can't run on this machine."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        command = await loop.run_in_executor(None, app.command, Path(folder))
        bare: asyncio.Future[list[bytes]] = loop.create_future()
        runs = [
            BareRun("without telemetry", app, command, limits, bare=bare),
            CleanRun("clean mode", app, command, limits),
            DownRun("receiver down", app, command, limits, bare=bare),
        ]
        await asyncio.gather(*(run.guarded() for run in runs))
        if runs[-1].failures and all(failure.timing for failure in runs[-1].failures):
            # What is wrong with the app is wrong again.
            runs[-1] = DownRun("receiver down", app, command, limits, bare=bare)
            await runs[-1].guarded()
        return [failure for run in runs for failure in run.failures]


def _text(record: Record) -> str:
    least, most = record.response_time
    context = f" {record.context!r}" if record.context else ""
    return (
        f"{record.method} {record.endpoint} {record.status} {record.consumer!r}{context}"
        f" {least}-{most} ms"
    )


def _all(rows: Sequence[dict[str, Any]]) -> str:
    """Rows that arrived, in short."""
    texts = [
        f"{row['method']} {row['endpoint']} {row['status']} {row['consumer']!r}"
        f"{' ' + repr(row['context']) if row['context'] else ''} {row['response_time']} ms"
        for row in rows[:3]
    ]
    return " and ".join(texts) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")


def _undated(answer: bytes) -> bytes:
    head, end, body = answer.partition(b"\r\n\r\n")
    return re.sub(rb"\r\ndate:[^\r]*", b"", head, flags=re.I) + end + body


def _difference(bare: bytes, ours: bytes) -> str:
    """Where the answer is another than that of the app without telemetry; "": nowhere."""
    bare, ours = _undated(bare), _undated(ours)
    if bare == ours:
        return ""
    pairs = zip([*bare.split(b"\r\n"), b""], [*ours.split(b"\r\n"), b""])
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), (bare, ours))
    return f"expected the answer of the app without telemetry, {before!r}, got {after!r}"
