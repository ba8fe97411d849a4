"""Records for a long time while everything around fails, and accounts for each record at the end.

`soak.py --minutes N`: one steady host, workers that are killed (SIGKILL) or ended and replaced, all
with a durable buffer in one directory, all forking; a receiver that is restarted, fails, resets,
delays and hangs. Fails if a record that a host was told is kept has not arrived, or if the steady
host grew.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
RATE = 100
WORKERS = 3
# Pauses between two mishaps, seconds.
PAUSE_S = (1.0, 4.0)
FAULTS = [
    {"status": 503, "times": 4},
    {"status": 500, "times": 4},
    {"status": 429, "times": 2, "headers": {"retry-after": "1"}},
    {"close": True, "times": 4},
    {"delay_ms": 1500, "times": 3},
    {"hang": True, "times": 1},
]


class Host:
    """A running host, and what it has said."""

    def __init__(self, program: Path, name: str, env: dict[str, str]) -> None:
        self.name = name
        self.started = time.monotonic()
        self.ids: list[str] = []
        self.memory_kib: list[int] = []
        self.ledger: dict[str, object] | None = None
        command = [str(program), name, str(RATE)]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, _, rest = line.rstrip("\n").partition(" ")
            if what == "rss":
                self.memory_kib.append(int(rest))
            elif what == "ledger":
                self.ledger = json.loads(rest)
            else:
                self.ids.append(what)

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(60)
        # Its children hold the other end of the pipe until they end too.
        self._reader.join(60)


class Soak:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.happened: collections.Counter[str] = collections.Counter()
        self.ended: list[Host] = []
        self.generation = 0
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.receiver = self.serve()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MALTI_")}
        self.env = {
            **kept,
            "MALTI_URL": f"http://127.0.0.1:{self.port}",
            "MALTI_API_KEY": "soak",
            "MALTI_SERVICE_NAME": "soak",
            "MALTI_SPOOL_DIR": str(folder / "spool"),
            "MALTI_SPOOL_BYTES": str(1 << 40),
            "MALTI_BUFFER_BYTES": str(4 << 20),
            "MALTI_BATCH_INTERVAL": "1",
            "MALTI_RETRY_DELAY": "0.2",
            "MALTI_HTTP_TIMEOUT": "3",
            "MALTI_LOG": "off",
        }
        self.program = folder / "host"
        command = [
            "cc",
            "-std=gnu11",
            "-O1",
            str(ROOT / "tests/soak/host.c"),
            "-o",
            str(self.program),
        ]
        command += [
            "-I",
            str(ROOT / "include"),
            "-L",
            str(RELEASE),
            f"-Wl,-rpath,{RELEASE}",
            "-lmalti",
        ]
        subprocess.run(command, check=True)
        self.steady = self.host("steady")
        self.workers = [self.worker() for _ in range(WORKERS)]

    def serve(self) -> subprocess.Popen[str]:
        command = [
            str(RELEASE / "malti"),
            "receive",
            "--listen",
            f"127.0.0.1:{self.port}",
            "--json",
        ]
        command += ["--max-records", "1", "--ndjson", str(self.folder / "arrived.ndjson")]
        receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert receiver.stdout is not None
        receiver.stdout.readline()
        return receiver

    def host(self, name: str) -> Host:
        return Host(self.program, name, self.env)

    def worker(self) -> Host:
        self.generation += 1
        return self.host(f"worker{self.generation}")

    def control(self, faults: list[dict[str, object]]) -> None:
        url = f"http://127.0.0.1:{self.port}/api/control"
        request = urllib.request.Request(url, json.dumps(faults).encode())
        urllib.request.urlopen(request, timeout=30).close()

    def mishap(self) -> None:
        what = self.random.choice(["restart", "fault", "fault", "kill", "end"])
        if what == "restart":
            self.receiver.kill()
            self.receiver.wait()
            time.sleep(self.random.uniform(0, 3))
            self.receiver = self.serve()
        elif what == "fault":
            fault = self.random.choice(FAULTS)
            self.control([fault])
            what = f"fault {fault.get('status') or next(iter(fault))}"
        else:
            at = self.random.randrange(WORKERS)
            worker = self.workers[at]
            # What was recorded before its file was there is not promised to survive.
            if time.monotonic() - worker.started < 3:
                return
            worker.end(signal.SIGKILL if what == "kill" else signal.SIGTERM)
            self.ended.append(worker)
            self.workers[at] = self.worker()
        self.happened[what] += 1

    def finish(self) -> bool:
        self.control([])
        for host in [self.steady, *self.workers]:
            host.end(signal.SIGTERM)
            self.ended.append(host)
        spool = self.folder / "spool"
        for attempt in range(20):
            if not list(spool.glob("*.spool")):
                break
            collector = self.host(f"collector{attempt}")
            time.sleep(2)
            collector.end(signal.SIGTERM)
            self.ended.append(collector)
        self.receiver.terminate()
        self.receiver.wait()
        return self.report(list(spool.glob("*.spool")))

    def report(self, left: list[Path]) -> bool:
        with (self.folder / "arrived.ndjson").open() as lines:
            arrived = collections.Counter(json.loads(line)["context"] for line in lines)
        said = [id for host in self.ended for id in host.ids]
        missing = [id for id in said if id not in arrived]
        twice = sum(count - 1 for count in arrived.values())
        unsaid = len(set(arrived) - set(said))
        print("happened: " + ", ".join(f"{what} {n}" for what, n in sorted(self.happened.items())))
        print(f"kept {len(said)}, arrived {len(arrived)}, missing {len(missing)}")
        print(f"arrived again: {twice}")
        print(f"arrived of killed hosts beyond what they had said: {unsaid}")
        print(f"files left in the spool: {len(left)}")
        unaccounted = 0
        for host in self.ended:
            if ledger := host.ledger:
                of = {
                    name: int(str(ledger[name])) for name in ledger if isinstance(ledger[name], int)
                }
                sides = (
                    of["recorded"] + of["adopted"] - of["sent"] - of["buffered"] - of["in_flight"]
                )
                drops = sum(n for name, n in of.items() if name.startswith("dropped_"))
                unaccounted += abs(sides - of["spooled"] - drops)
        ledgers = sum(host.ledger is not None for host in self.ended)
        print(f"ledgers: {ledgers}, unaccounted {unaccounted}")
        memory = self.steady.memory_kib
        early, late = memory[min(len(memory) - 1, 3)], memory[-1]
        print(f"memory of the steady host: {early} KiB early, {late} KiB at the end")
        for id in missing[:5]:
            print(f"missing: {id}")
        return not missing and not left and unaccounted == 0 and late < early * 1.5 + 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="malti-soak-"))
    soak = Soak(folder, wanted.seed)
    until = time.monotonic() + wanted.minutes * 60
    while time.monotonic() < until:
        time.sleep(soak.random.uniform(*PAUSE_S))
        soak.mishap()
    good = soak.finish()
    print("good" if good else f"NOT good; see {folder}")
    if good:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
