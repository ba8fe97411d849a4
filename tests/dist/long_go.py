"""A Go service for each Linux that `make go-libs` has made an archive for: it links with nothing
but the C library, beside another Rust library that panics and catches it, and runs where something
here can run it.

It takes minutes to build the archives, so `make test-all` runs it and `make test` does not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests"))
sys.path.append(str(Path(__file__).resolve().parents[2] / ".ci"))

import go_archive
import go_release
from harness import ROOT, Receiver, environment

BINDING = ROOT / "bindings" / "go"
PATIENCE = 300.0


@dataclass
class Platform:
    """A Rust target, what Go and zig call it, and what runs its programs."""

    target: str
    goarch: str
    zig: str
    runner: list[str] = field(default_factory=list)
    package: str = ""
    flags: str = ""

    @property
    def musl(self) -> bool:
        return self.target.endswith("musl")


PLATFORMS = [
    Platform("x86_64-unknown-linux-gnu", "amd64", "x86_64-linux-gnu.2.17"),
    Platform(
        "aarch64-unknown-linux-gnu",
        "arm64",
        "aarch64-linux-gnu.2.17",
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        "qemu-user, libc6-arm64-cross",
    ),
    Platform("x86_64-unknown-linux-musl", "amd64", "x86_64-linux-musl", flags="-static"),
    Platform(
        "x86_64-unknown-linux-musl",
        "amd64",
        "x86_64-linux-musl",
        ["/lib/ld-musl-x86_64.so.1"],
        "musl",
        "-dynamic",
    ),
    Platform(
        "aarch64-unknown-linux-musl",
        "arm64",
        "aarch64-linux-musl",
        ["qemu-aarch64"],
        "qemu-user",
        "-static",
    ),
]
MODULE = """\
module service

go 1.25

require (
	github.com/felixge/httpsnoop v1.1.0
	github.com/libmalti/malti-go v0.0.0
)

replace github.com/libmalti/malti-go => {}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


def run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    env = {**os.environ, **env}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(platform: Platform, folder: Path) -> Path:
    """The example of a service, as a user would build it who has that C compiler."""
    if shutil.which("go") is None:
        pytest.skip("there is no go")
    shutil.copy(BINDING / "examples" / "nethttp" / "main.go", folder)
    shutil.copy(BINDING / "go.sum", folder)
    (folder / "go.mod").write_text(MODULE.format(BINDING))
    machine = platform.target.split("-")[0]
    archive = go_release.other(folder, platform.target)
    archive.write_bytes(go_archive.merged(machine, archive, ["other_catches"]))
    cross = {
        "CGO_ENABLED": "1",
        "GOOS": "linux",
        "GOARCH": platform.goarch,
        "CC": f"{sys.executable} -m ziglang cc -target {platform.zig} {platform.flags}",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
        "GOWORK": "off",
    }
    tags = "musl" if platform.musl else ""
    run(["go", "build", "-tags", tags, "-o", "service", "."], folder, cross)
    return folder / "service"


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: f"{p.target}{p.flags}")
def test_a_service_records(platform: Platform, receiver: Receiver, tmp_path: Path) -> None:
    program = build(platform, tmp_path)
    needed = re.findall(r"NEEDED.*\[(.+)\]", run(["readelf", "-d", str(program)], tmp_path, {}))
    assert (needed == []) is (platform.flags == "-static")
    assert "libgcc_s.so.1" not in needed
    if platform.runner and shutil.which(platform.runner[0]) is None:
        pytest.skip(f"Debian packages {platform.package} run it")
    env = environment(receiver.url, ADDR="127.0.0.1:0")
    service = subprocess.Popen(
        [*platform.runner, str(program)], env=env, stdout=subprocess.PIPE, text=True
    )
    with service:
        try:
            assert service.stdout is not None
            address = service.stdout.readline().split()[-1]
            url = f"http://{address}/api/users/7"
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                assert answer.status == 200
            service.send_signal(signal.SIGTERM)
            assert service.wait(PATIENCE) == 0
        finally:
            service.kill()
    assert [record["endpoint"] for record in receiver.wait_for(1)] == ["/api/users/{id}"]
