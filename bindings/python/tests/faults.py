"""What the rows of the fault matrix share: servers that fail, and the account of the records."""

import http.client
import itertools
import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness import HERE, PATIENCE, Process, Receiver, environment, until

# As a host would be configured: records wait for each other.
PATIENT = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}
# Of a server.
WORKERS = 2
# Requests of each worker, and in all.
SHARE = 5
REQUESTS = 40


def account(
    row: str,
    recorded: Iterable[str],
    records: Iterable[Mapping[str, Any]],
    ledgers: Iterable[Mapping[str, Any]] = (),
) -> "Counter[str]":
    """Prints a row's line and fails unless each record is accounted for, once.

    `recorded` names what the host recorded, by consumer; `records` is what the receiver has, and
    `ledgers` are the last figures of the processes. Returns what was dropped, by reason.
    """
    expected = Counter(recorded)
    assert expected and max(expected.values()) == 1, "a record has a name of its own"
    arrived = Counter(record["consumer"] for record in records)
    dropped: Counter[str] = Counter()
    for ledger in ledgers:
        dropped.update(
            {key: value for key, value in ledger.items() if key.startswith("dropped_") and value}
        )
    twice = sum(count - 1 for count in arrived.values())
    unaccounted = len(expected) - len(arrived) - sum(dropped.values())
    reasons = ", ".join(f"{key} {value}" for key, value in sorted(dropped.items())) or "dropped 0"
    print(
        f"{row}: recorded {len(expected)}, delivered {len(arrived)}, twice {twice}, {reasons}, "
        f"unaccounted {unaccounted}"
    )
    assert not arrived.keys() - expected.keys(), "delivered, but never recorded"
    assert (twice, unaccounted) == (0, 0), sorted(expected - arrived)[:10]
    return dropped


def balance(ledger: Mapping[str, Any]) -> int:
    """What the two sides of a ledger differ by: never anything but 0."""
    sides = ["sent", "buffered", "in_flight", "spooled"]
    sides += [f"dropped_{reason}" for reason in ("overflow", "rejected", "shutdown", "expired")]
    return int(ledger["recorded"] + ledger["adopted"] - sum(ledger[side] for side in sides))


def run(app: str, url: str, *arguments: str, **settings: str) -> list[str]:
    """What a program of `apps/` prints, run to its end, which has to be a good one."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(HERE / "apps" / f"{app}.py")]
    process = Process([*command, *arguments], environment(url, **settings))
    try:
        assert process.wait() == 0, "".join(process.errors)
    finally:
        process.kill()
    return process.rest()


class Deaf:
    """A place where a receiver may come to be: until then it refuses connections, or with `hangs`
    takes them and never answers.
    """

    def __init__(self, *, hangs: bool) -> None:
        self._socket = socket.socket()
        # Bound and not listening: nobody else gets the port, and whoever connects is refused.
        self._socket.bind(("127.0.0.1", 0))
        if hangs:
            self._socket.listen(64)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def connections(self) -> int:
        """How many were made since it was asked last."""
        self._socket.setblocking(False)
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


def control(receiver: Receiver, faults: Any = None) -> Any:
    """Sets the receiver's faults, or tells how far they are."""
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=PATIENCE)
    try:
        if faults is None:
            connection.request("GET", "/api/control")
        else:
            connection.request("POST", "/api/control", json.dumps(faults))
        response = connection.getresponse()
        answer = json.load(response)
        assert response.status == 200, answer
        return answer
    finally:
        connection.close()


def served(receiver: Receiver) -> int:
    """How many requests got a fault."""
    return sum(fault["served"] for fault in control(receiver)["faults"])


def port_in(lines: Iterable[str]) -> int:
    """Where a server says that it listens; 0: it has not said so yet."""
    for line in lines:
        found = re.search(r"127\.0\.0\.1:([1-9]\d*)", line)
        if found:
            return int(found.group(1))
    return 0


class Requests:
    """Requests from several sides at once, until each worker has had its share."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count()
        self.names: list[str] = []
        self.workers: Counter[int] = Counter()
        self._failure = ""

    def run(self) -> None:
        threads = [threading.Thread(target=self._ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            until("both workers to answer", lambda: self._failure or self._enough())
        finally:
            self._failure = self._failure or ("" if self._enough() else "given up")
            for thread in threads:
                thread.join(PATIENCE)
        assert not self._failure, self._failure

    def _enough(self) -> bool:
        shares = [count for count in self.workers.values() if count >= SHARE]
        return len(shares) >= WORKERS and sum(self.workers.values()) >= REQUESTS

    def _ask(self) -> None:
        while not self._failure and not self._enough():
            name = f"request-{next(self._numbers)}"
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
                connection.request("GET", "/", headers={"X-Consumer-Id": name})
                response = connection.getresponse()
                assert response.status == 200, response.status
                self.workers[int(response.read())] += 1
                connection.close()
                self.names.append(name)
            except ConnectionRefusedError:
                # Some servers bind their port long before a worker listens.
                time.sleep(0.02)
            except Exception as error:
                self._failure = repr(error)
