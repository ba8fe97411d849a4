"""Builds and runs the programs of benches/. When the time of one is up, it and all that it started
are killed, and that is a failure."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ROOT / "benches"
RELEASE = ROOT / "target" / "release"
BUILT = ROOT / "target" / "bench"
LIBRARY = RELEASE / ("libmalti.dylib" if sys.platform == "darwin" else "libmalti.so")
CARGO = os.environ.get("CARGO", "cargo")
# Ten times what the longest one takes, for machines that have other work to do.
RUN_SECONDS = 300
BUILD_SECONDS = 1200
RECEIVER_SECONDS = 10


class Failure(Exception):
    """There is no figure, and why."""


def values(text: str) -> dict[str, list[float]]:
    """The name=value pairs that a program printed, all values of a name."""
    found: dict[str, list[float]] = {}
    for name, number in re.findall(r"(\w+)=(-?[\d.]+)", text):
        found.setdefault(name, []).append(float(number))
    return found


def environment(url: str, **settings: object) -> dict[str, str]:
    """The defaults, whatever the caller has set, but for an address, a key and these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALTI_")}
    ours = {"url": url, "api_key": "bench", "log": "error", "library": LIBRARY, **settings}
    return {**kept, **{f"MALTI_{name.upper()}": str(value) for name, value in ours.items()}}


def run(
    command: list[str],
    url: str = "",
    seconds: float = RUN_SECONDS,
    told: bool = False,
    settings: Mapping[str, object] | None = None,
) -> str:
    """What a program printed. `told`: its standard error is shown as it comes."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(url, **(settings or {})),
        stdout=subprocess.PIPE,
        stderr=None if told else subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            out, errors = process.communicate(timeout=seconds)
            end = f"failed with status {process.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, errors = process.communicate()
            end = f"did not end within {seconds:.0f} s"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise Failure(f"{' '.join(command)} {end}\n{out}{errors or ''}".rstrip())
    return out


def measure(program: Path, *what: str, url: str, **settings: object) -> dict[str, list[float]]:
    """The figures of one run of a program of benches/."""
    figures = values(run([str(program), *what], url, settings=settings))
    if not figures:
        raise Failure(f"{program.name} {' '.join(what)} printed no figure")
    return figures


def compiled(name: str) -> Path:
    """A program in C, `name`.c of benches/."""
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / name
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-O2"]
    command += ["-I", str(ROOT / "include"), str(BENCHES / f"{name}.c"), "-o", str(program)]
    # One of them opens the library by itself.
    link = ["-L", str(RELEASE), f"-Wl,-rpath,{RELEASE}", "-Wl,--as-needed", "-lmalti"]
    run([*command, *link, "-pthread", "-ldl"])
    return program


def rust_program() -> Path:
    """The bench of Rust hosts, which has a lock file and crates of its own."""
    target = BUILT / "rust"
    command = [CARGO, "build", "--locked", "--release", "--target-dir", str(target)]
    command += ["--manifest-path", str(BENCHES / "rust" / "Cargo.toml")]
    run(command, seconds=BUILD_SECONDS, told=True)
    return target / "release" / "libmalti-bench"


def wire_program() -> Path:
    """The bench of the JSON writer. Cargo is heard: it may take minutes, or wait for another."""
    command = [CARGO, "bench", "--locked", "--no-run", "--bench", "wire", "--message-format=json"]
    # Apart, for it would overwrite the library that all others measure.
    command += ["--target-dir", str(BUILT / "wire")]
    for line in run(command, seconds=BUILD_SECONDS, told=True).splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "wire":
            return Path(message["executable"])
    raise Failure("cargo built no wire bench")


def control(url: str, body: object = None) -> list[dict[str, int]]:
    """The faults of a receiver, after they were set to `body` if one is given."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api/control", data)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=RECEIVER_SECONDS) as answer:
        faults: list[dict[str, int]] = json.load(answer)["faults"]
    return faults


@contextlib.contextmanager
def receiver(**fault: object) -> Iterator[str]:
    """The address of a receiver that runs meanwhile; with a fault every batch is treated so."""
    command = [str(RELEASE / "malti"), "receive", "--listen", "127.0.0.1:0", "--json"]
    command += ["--max-records", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if not select.select([process.stdout], [], [], RECEIVER_SECONDS)[0]:
                raise Failure("the receiver does not start")
            url = str(json.loads(process.stdout.readline() or "{}").get("url", ""))
            if not url:
                raise Failure("the receiver ended at once")
            if fault:
                control(url, [{**fault, "times": 2**32}])
            yield url
            if fault and control(url)[0]["served"] == 0:
                raise Failure(f"the receiver never came to {fault}")
        finally:
            process.terminate()
            try:
                process.wait(RECEIVER_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses connections meanwhile: its port is taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
