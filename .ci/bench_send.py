"""Measures `malti send` and `malti receive`: how many lines a second, and what one costs."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from part import COLUMNS, Part
from programs import RECEIVER_SECONDS, RELEASE, RUN_SECONDS, Failure, environment
from table import Row

METHOD = """
An access log of a million lines (combined format, 150 bytes a line, 20,000 paths whose routes are
guessed) goes to a receiver of its own, to one with a database, and to a sink that drops it, five
times each in turn; the figures are medians, and each line was delivered. The server sets the pace:
`malti send` uses four connections, and waits when as many records as half its buffer wait. With
`--db` each commit waits for the disk, and all batches that come meanwhile share the next one.
"""

MALTI = str(RELEASE / "malti")
FEW, MANY = 100_000, 1_000_000
ROUNDS = 5
# What the Malti server itself took at most, with four connections on two cores.
SERVER = 14_800
WIDTHS = (34, 16, 34, 26, 8)


@dataclass
class Cost:
    """Of one program: seconds of a clock and of the processor, bytes of memory at most."""

    seconds: float
    cpu: float
    memory: int


def access_log(path: Path, lines: int) -> Path:
    """In the combined format, 150 bytes a line, with 20,000 paths of 4 routes."""
    with path.open("w") as out:
        for i in range(lines):
            out.write(
                f"192.0.2.{i % 250} - user{i % 97} "
                f"[10/Oct/2025:13:{i // 60 % 60:02}:{i % 60:02} +0000] "
                f'"{("GET", "GET", "POST")[i % 3]} '
                f'/api/v1/{("users", "orders", "items", "carts")[i % 4]}/{i % 5000} HTTP/1.1" '
                f"{(200, 200, 200, 201, 503)[i % 5]} {i % 9999} "
                '"https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64)"\n'
            )
    return path


def most_memory(process: "subprocess.Popen[str]") -> int:
    """So far. What the system tells of a process that has ended counts its parent's before exec."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError as error:
        raise Failure(f"memory can't be measured: {error}") from None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    # A process that is just ending has none any more.
    return int(found[1]) * 1024 if found else 0


def ended(process: "subprocess.Popen[str]", since: float) -> Cost:
    """Watches until it ends."""
    memory = 0
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        memory = max(memory, most_memory(process))
        time.sleep(0.01)
    seconds = time.monotonic() - since
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, memory)


def start_receiver(*arguments: str) -> tuple["subprocess.Popen[str]", str]:
    command = [MALTI, "receive", "--listen", "127.0.0.1:0", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(RECEIVER_SECONDS)
        raise Failure("the receiver ended at once")
    return process, str(json.loads(line)["url"])


@contextmanager
def receiver(costs: list[Cost], *arguments: str) -> Iterator[str]:
    """The address of a receiver that runs meanwhile; its cost is known afterwards."""
    since = time.monotonic()
    process, url = start_receiver("--max-records", "1000", *arguments)
    try:
        yield url
    except BaseException:
        process.kill()
        process.wait()
        raise
    memory = most_memory(process)
    process.terminate()
    costs.append(replace(ended(process, since), memory=memory))


def send(log: Path, lines: int, url: str) -> Cost:
    """`malti send` with the log, all of which must arrive."""
    since = time.monotonic()
    command = [MALTI, "send", "--json", "--give-up", str(RUN_SECONDS), "--clean-mode=no", str(log)]
    process = subprocess.Popen(
        command,
        env={**environment(url), "MALTI_SERVICE_NAME": "bench"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    # Both are a few lines, which a pipe has room for.
    cost = ended(process, since)
    report, errors = process.stdout.read(), process.stderr.read()
    if process.returncode or json.loads(report)["sent"] != lines:
        raise Failure(f"malti send delivered not all of {lines} lines\n{report}{errors}")
    return cost


def restart(folder: Path) -> Cost:
    """Until a receiver tells its address, which has all records of the database."""
    since = time.monotonic()
    process, _ = start_receiver("--db", str(folder / "records.db"))
    cost = Cost(time.monotonic() - since, 0, most_memory(process))
    process.terminate()
    ended(process, since)
    return cost


def middle(costs: list[Cost]) -> Cost:
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu for cost in costs),
        int(median(cost.memory for cost in costs)),
    )


def measure(folder: Path) -> Iterator[Row]:
    few = access_log(folder / "few.log", FEW)
    many = access_log(folder / "many.log", MANY)
    found: dict[str, list[Cost]] = {}
    of = found.setdefault
    for _ in range(ROUNDS):
        with receiver(of("receive", [])) as url:
            of("send", []).append(send(many, MANY, url))
        for old in folder.glob("records.db*"):
            old.unlink()
        with receiver(of("receive --db", []), "--db", str(folder / "records.db")) as url:
            of("send, --db", []).append(send(many, MANY, url))
        of("restart", []).append(restart(folder))
        of("nowhere", []).append(send(many, MANY, "file:/dev/null"))
        with receiver([]) as url:
            of("few", []).append(send(few, FEW, url))
    cost = {name: middle(costs) for name, costs in found.items()}
    sent, kept, nowhere = cost["send"], cost["send, --db"], cost["nowhere"]

    def rate(cost: Cost) -> str:
        return f"{MANY / cost.seconds:,.0f} lines/s"

    def each(cost: Cost) -> str:
        return f"{cost.cpu / MANY * 1e6:.2f} µs"

    def size(cost: Cost) -> str:
        return f"{cost.memory / 2**20:.1f} MiB"

    def row(what: str, figure: str, baseline: str, ratio: float, bound: float) -> Row:
        return Row(what, figure, baseline, f"{ratio:.2f}", f"≤ {bound:g}", ratio, bound)

    flat, slower = sent.memory / cost["few"].memory, kept.seconds / sent.seconds
    busy = cost["receive --db"].cpu / cost["receive"].cpu
    server = SERVER * sent.seconds / MANY
    yield from (
        row("send, to a receiver", rate(sent), f"Malti itself {SERVER:,} /s", server, 0.25),
        row("CPU per line", each(sent), f"to no server {each(nowhere)}", sent.cpu / nowhere.cpu, 2),
        row("memory, 1,000,000 lines", size(sent), f"100,000 lines {size(cost['few'])}", flat, 1.5),
        row("send, to receive --db", rate(kept), "without --db, as above", slower, 4),
        row(
            "receiver's CPU per record, --db",
            each(cost["receive --db"]),
            f"without {each(cost['receive'])}",
            busy,
            4,
        ),
        row(
            "start with 1,000,000 records",
            f"{cost['restart'].seconds:.2f} s",
            size(cost["restart"]),
            cost["restart"].seconds,
            1,
        ),
    )


def main() -> int:
    with (
        Part("send", METHOD, *WIDTHS) as part,
        tempfile.TemporaryDirectory(dir=RELEASE.parent) as folder,
    ):
        part.head(*COLUMNS)
        part.each([lambda: measure(Path(folder))])
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
