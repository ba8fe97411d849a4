"""Row 10 of the fault matrix: how a host ends, times what the server does. What a host gives time
for is delivered; what it does not is, with a durable buffer, delivered by the next process. No end
takes longer than it may.
"""

import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import pytest
from faults import PATIENT, Deaf, account, balance
from harness import HERE, Process, Receiver, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends that only POSIX has")

COUNT = 20
SHUTDOWN_S = 0.5
# What an end may take beyond that, on a machine that is not busy.
LATE_S = 0.5

GIVE_TIME = {
    "return": 0,
    "sys.exit": 3,
    "uncaught exception": 1,
    "SIGTERM handled": 0,
    "SIGINT uncaught": -signal.SIGINT,
    "SIGINT handled": 0,
}
GIVE_NONE = {
    "os._exit": 4,
    "os.abort": -signal.SIGABRT,
    "SIGTERM": -signal.SIGTERM,
    "SIGKILL": -signal.SIGKILL,
}
SERVERS = ["up", "down", "hanging"]


class Host:
    """A process of `apps/host.py`, and how it ended."""

    def __init__(
        self,
        way: str,
        url: str,
        settings: Mapping[str, str],
        count: int = COUNT,
        name: str = "r",
    ) -> None:
        settings = {**PATIENT, "MALTI_SHUTDOWN_TIMEOUT": str(SHUTDOWN_S), **settings}
        command = [sys.executable, str(HERE / "apps" / "host.py"), way, str(count), name]
        self.process = Process(command, environment(url, **settings))
        #: The ledger when the end began, and at its very end if the process got there.
        self.before: dict[str, Any] = {}
        self.after: Optional[dict[str, Any]] = None
        self.status = 0
        self.took_s = 0.0

    def end(self) -> "Host":
        word, moment, figures = self.process.line().split(" ", 2)
        assert word == "END"
        self.before = json.loads(figures)
        self.process.child.wait(60)
        self.took_s = time.monotonic() - int(moment) / 1e9
        self.status = self.process.wait()
        rest = self.process.rest()
        if rest:
            word, figures = rest[0].split(" ", 1)
            assert word == "LEDGER"
            self.after = json.loads(figures)
            assert balance(self.after) == 0
        return self


def end(way: str, url: str, limit_s: float, **settings: str) -> Host:
    """Ends a host in this way, and checks how, and that it was in time. Beside it, under the same
    load, one without telemetry shows what the interpreter takes.
    """
    host = Host(way, url, settings)
    bare = Host(way, url, {"MALTI_ENABLED": "false"})
    bare.end()
    host.end()
    expected = {**GIVE_TIME, **GIVE_NONE}[way]
    assert (host.status, bare.status) == (expected, expected), host.process.errors
    assert host.before["recorded"] == COUNT
    assert host.took_s < limit_s + LATE_S + 4 * bare.took_s, (host.took_s, bare.took_s)
    return host


def names(count: int = COUNT, name: str = "r") -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def line(way: str, server: str, host: Host) -> str:
    return f"10 {way}, server {server}, {host.took_s * 1000:.0f} ms"


@pytest.mark.parametrize("way", GIVE_TIME)
def test_with_the_server_up(receiver: Receiver, way: str) -> None:
    host = end(way, receiver.url, SHUTDOWN_S)
    assert host.after is not None
    assert host.after["sent"] == COUNT
    assert not account(line(way, "up", host), names(), receiver.records(), [host.after])


@pytest.mark.parametrize("way", GIVE_TIME)
@pytest.mark.parametrize("server", ["down", "hanging"])
def test_with_no_answer(server: str, way: str) -> None:
    """Who refuses is not waited for; who hangs is, for as long as the host says."""
    hangs = server == "hanging"
    deaf = Deaf(hangs=hangs)
    host = end(way, deaf.url, SHUTDOWN_S if hangs else 0)
    if hangs:
        assert deaf.connections() > 0
        assert host.took_s >= SHUTDOWN_S
    deaf.close()
    assert host.after is not None
    assert hangs or "refused" in host.after["last_error"]
    dropped = account(line(way, server, host), names(), [], [host.after])
    assert dropped == {"dropped_shutdown": COUNT}
    assert any("not delivered before shutdown" in said for said in host.process.errors)


@pytest.mark.parametrize("way", ["return", *GIVE_NONE])
@pytest.mark.parametrize("server", SERVERS)
def test_the_next_process_delivers(tmp_path: Path, server: str, way: str) -> None:
    spool = {"MALTI_SPOOL_DIR": str(tmp_path)}
    settings = dict(spool)
    if way in GIVE_NONE and server != "up":
        # The host dies while a delivery fails.
        settings.update(TEST_TROUBLE="1", MALTI_BATCH_SIZE=str(COUNT), MALTI_HTTP_TIMEOUT="0.1")
    place = Receiver() if server == "up" else Deaf(hangs=server == "hanging")
    waits = way in GIVE_TIME and server != "down"
    host = end(way, place.url, SHUTDOWN_S if waits else 0, **settings)
    if isinstance(place, Receiver):
        receiver = place
    else:
        trouble = (host.after or host.before)["last_error"]
        assert place.connections() > 0 if server == "hanging" else "refused" in trouble
        place.close()
        receiver = Receiver(place.port)
    done = server == "up" and way in GIVE_TIME
    if host.after is not None:
        assert host.after["sent" if done else "spooled"] == COUNT
    try:
        assert len(receiver.records()) == (COUNT if done else 0)
        following = Host("return", receiver.url, spool, 1, "next").end()
        assert following.after is not None
        assert following.after["adopted"] == (0 if done else COUNT)
        row = line(way, server, host) + ", then the next"
        assert not account(row, [*names(), "next-0"], receiver.records(), [following.after])
        assert list(tmp_path.iterdir()) == []
    finally:
        receiver.kill()
