"""The page on deploying: its files by linters and schemas, its code by running it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import Container, Receiver, environment, script, until
from newcomer import BUILD_WITHIN_S, fetch, free_port, shell
from snippets import ROOT, Where, at

BLOCKS: dict[str, Where] = {
    "slim": ("docs/deploying.md", "dockerfile", "FROM python:"),
    "alpine": ("docs/deploying.md", "dockerfile", "FROM node:"),
    "distroless": ("docs/deploying.md", "dockerfile", "FROM golang:"),
    "kubernetes": ("docs/deploying.md", "yaml", "apiVersion: apps/v1"),
    "systemd": ("docs/deploying.md", "ini", "[Unit]"),
    "serverless": ("docs/deploying.md", "python", "import libmalti"),
}
SETTINGS = set(
    re.findall(r"^\| `(MALTI_\w+)`", (ROOT / "docs/configuration.md").read_text("utf-8"), re.M)
)


def block(name: str) -> str:
    return at(BLOCKS[name])


@pytest.mark.parametrize(
    "text",
    [block("slim"), block("alpine"), block("distroless")],
    ids=["slim", "alpine", "distroless"],
)
def test_a_container_file(text: str, tmp_path: Path) -> None:
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    hadolint = shutil.which("hadolint", path=os.pathsep.join(places))
    if hadolint is None:
        pytest.skip("hadolint is not installed (nox --session test installs it)")
    done = subprocess.run(
        [hadolint, "--no-color", "-"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    # The service is process 1, and not root.
    assert re.search(r'^(CMD|ENTRYPOINT) \["', text, re.M)
    assert re.search(r"^USER [1-9]|:nonroot$", text, re.M)


def test_what_the_container_files_copy_is_made() -> None:
    if not shutil.which("node"):
        pytest.skip("node is not installed (make doctor)")
    targets = (ROOT / "noxfile.py").read_text("utf-8")
    names = "Object.values(p.PLATFORMS).map(p.nameOf).join()"
    asked = ["node", "-p", f"const p = require('./bindings/node/pack.js'); {names}"]
    packages = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (wheel,) = re.findall(
        r"^COPY target/wheels/libmalti-\*-(\S+)\*_x86_64\.whl ", block("slim"), re.M
    )
    assert re.search(rf'"{wheel}\d+_x86_64\.{wheel}_', targets)
    (platform,) = re.findall(r" target/npm/malti-(\S+)-\*\.tgz ", block("alpine"))
    assert f"@malti/{platform}" in packages.split(",")
    python = (ROOT / "requirements" / "test.txt").read_text("utf-8")
    pins = re.findall(r"(\w+==[\d.]+)", block("slim"))
    assert pins
    assert [pin for pin in pins if f"{pin} " not in python] == []
    node = json.loads((ROOT / "bindings" / "node" / "tests" / "package.json").read_text("utf-8"))
    (express,) = re.findall(r" express@([\d.]+) ", block("alpine"))
    assert node["dependencies"]["express"] == express


def copied(text: str, folder: Path) -> None:
    """What a file copies of the checkout itself."""
    ((source, target),) = re.findall(r"^COPY (bindings/\S+) (\S+)$", text, re.M)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, folder / target, dirs_exist_ok=True)
    else:
        shutil.copy(ROOT / source, folder / target)


def command(text: str) -> list[str]:
    """What process 1 is."""
    (found,) = re.findall(r"^(?:CMD|ENTRYPOINT) (\[.*\])$", text, re.M)
    words: list[str] = json.loads(found)
    return words


def ends_as_process_1(
    words: list[str], folder: Path, port: int, path: str, **settings: str
) -> None:
    """It answers, and at SIGTERM delivers what it would have kept for an hour."""
    if not Container.there():
        pytest.skip("unshare makes no process 1 here")
    receiver = Receiver()
    slow = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "3600"}
    here = ["sh", "-c", f"cd '{folder}'; exec \"$@\"", "sh", *words]
    service = Container(here, environment(receiver.url, **slow, **settings))
    try:

        def answer() -> int | None:
            assert service.child.poll() is None, "".join(service.errors)
            try:
                return fetch(f"http://127.0.0.1:{port}{path}")[0]
            except OSError:
                return None

        assert until("the service", answer) == 200
        assert receiver.records() == []
        assert service.stop() == 0, "".join(service.errors)
        assert len(receiver.records()) == 1
    finally:
        service.kill()
        receiver.kill()


def test_uvicorn_is_process_1(tmp_path: Path) -> None:
    copied(block("slim"), tmp_path)
    port = free_port()
    places = {"8000": str(port), "0.0.0.0": "127.0.0.1", "uvicorn": f"{sys.prefix}/bin/uvicorn"}
    words = [places.get(word, word) for word in command(block("slim"))]
    ends_as_process_1(words, tmp_path, port, "/users/7/orders/3")


def test_node_is_process_1(tmp_path: Path) -> None:
    packages = ROOT / "bindings" / "node" / "tests" / "node_modules"
    if not shutil.which("node") or not packages.is_dir():
        pytest.skip("node or its packages are not installed (make doctor)")
    copied(block("alpine"), tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    port = free_port()
    ends_as_process_1(command(block("alpine")), tmp_path, port, "/users/7/orders/3", PORT=str(port))


def test_the_go_program_needs_what_distroless_has(tmp_path: Path) -> None:
    if not shutil.which("go"):
        pytest.skip("go is not installed (make doctor)")
    (build,) = re.findall(r"^RUN (go build .*)$", block("distroless"), re.M)
    made = shell("python3 .ci/go_archive.py", ROOT, BUILD_WITHIN_S)
    assert made.returncode == 0, made.stderr
    copied(block("distroless"), tmp_path)
    service = tmp_path / "service"
    go = build.replace("/service", str(service))
    done = shell(go, tmp_path, BUILD_WITHIN_S, GOTOOLCHAIN="local", GOWORK="off")
    assert done.returncode == 0, done.stderr
    needed = shell("ldd ./service", tmp_path).stdout
    names = set(re.findall(r"^\s*(?:/\S*/)?([\w.+-]+\.so[\w.]*)", needed, re.M))
    # What the image `cc` adds to none: glibc, libgcc, libstdc++, OpenSSL.
    glibc = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"}
    loader = {"ld-linux-x86-64.so.2", "linux-vdso.so.1", "libresolv.so.2"}
    assert names
    assert names - glibc - loader - {"libgcc_s.so.1"} == set()
    assert command(block("distroless")) == ["/service"]
    port = free_port()
    ends_as_process_1([str(service)], tmp_path, port, "/api/users/7", ADDR=f"127.0.0.1:{port}")


def test_the_manifest() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    manifest = yaml.safe_load(block("kubernetes"))
    validate.validate(manifest, validate.latest_version(), strict=True)
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {entry["name"]: entry for entry in container["env"]}
    assert variables.keys() <= SETTINGS
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    key = Path(variables["MALTI_API_KEY_FILE"]["value"])
    assert mounts[str(key.parent)] == "malti-key"
    assert mounts[variables["MALTI_SPOOL_DIR"]["value"]] == "malti-spool"
    # Above the default of spool_bytes.
    (size,) = [v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if "emptyDir" in v]
    assert int(size.removesuffix("Mi")) > 256


def test_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = block("systemd")
    assert set(re.findall(r"^Environment=(\w+)=", unit, re.M)) <= SETTINGS
    # It has to be there.
    (program,) = re.findall(r"^ExecStart=(\S+)", unit, re.M)
    text = unit.replace(program, "/bin/true")
    (tmp_path / "shop.service").write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "shop.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in done.stderr.splitlines() if "shop.service" in line]
    assert (done.returncode, about) == (0, []), done.stderr


FROZEN = """
import os, signal
print(handler({"name": "you", "caller": "alice"}, None), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_serverless_handler() -> None:
    receiver = Receiver()
    try:
        # Nothing would be sent by itself, and after the return nothing runs.
        done = script(
            block("serverless") + FROZEN,
            receiver.url,
            MALTI_BATCH_SIZE="500",
            MALTI_BATCH_INTERVAL="3600",
        )
        assert done.returncode == -signal.SIGKILL
        assert "Hello, you" in done.stdout
        records: list[dict[str, Any]] = receiver.records()
        assert [record["consumer"] for record in records] == ["alice"], json.dumps(records)
    finally:
        receiver.kill()
