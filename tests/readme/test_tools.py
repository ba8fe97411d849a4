"""The commands and the table of docs/tools.md, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

from harness import RECEIVER, ROOT, Receiver, until

# `test_each_command` runs every block of the page.
WHOLE_PAGE = "docs/tools.md"
TEXT = (ROOT / "docs" / "tools.md").read_text("utf-8")
RECEIVE, *COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
LINE = '10.0.0.7 - - [26/Nov/2026:10:00:00 +0000] "GET /users/7 HTTP/1.1" 200 5 "-" "curl/8"\n'
OWN = '10.0.0.7 [26/Nov/2026:10:00:00 +0000] "GET /users/7 HTTP/1.1" 200 0.012\n'


def start(command: str, receiver: Receiver, folder: Path) -> subprocess.Popen[bytes]:
    places = {"PATH": f"{Path(RECEIVER).parent}{os.pathsep}{os.environ['PATH']}"}
    settings = {"MALTI_URL": receiver.url, "MALTI_API_KEY": "k", "MALTI_SERVICE_NAME": "s"}
    env = {**os.environ, **places, **settings}
    program = Path(RECEIVER).name
    command = command.replace("malti ", f"exec {program} ", 1)
    return subprocess.Popen(["sh", "-c", command], cwd=folder, env=env)


def test_each_command(tmp_path: Path) -> None:
    assert [command.split()[1] for command in COMMANDS] == ["check", "send", "send", "send"]
    (tmp_path / "routes.txt").write_text("/users/{id}\n", "utf-8")
    for command in COMMANDS:
        follows = "--follow" in command
        (tmp_path / "access.log").write_text(OWN if follows else LINE, "utf-8")
        receiver = Receiver()
        process = start(command, receiver, tmp_path)
        if " send " in command:
            (record,) = receiver.wait_for(1)
            assert record["endpoint"] == "/users/{id}"
            assert record["response_time"] == (0 if "access.log" in command and not follows else 12)
        if follows:
            process.send_signal(signal.SIGTERM)
        until("the end", lambda process=process: process.poll() is not None)
        assert process.returncode == 0, command
        receiver.kill()


def test_records_outlive_the_receiver(tmp_path: Path) -> None:
    command = [RECEIVER, *RECEIVE.split()[1:], "--listen", "127.0.0.1:0", "--json"]
    send = [RECEIVER, "send", "--method=GET", "--endpoint=/", "--status=200"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for before in range(3):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                url = json.loads(process.stdout.readline())["url"]
                with opener.open(f"{url}/api/records") as answer:
                    assert len(json.load(answer)["records"]) == before
                settings = {"MALTI_URL": url, "MALTI_API_KEY": "demo-key"}
                service = {"MALTI_SERVICE_NAME": "my-service"}
                subprocess.run(send, env={**os.environ, **settings, **service}, check=True)
            finally:
                process.kill()
    assert (tmp_path / "records.db").is_file()


def test_the_exit_codes_are_those_of_the_help() -> None:
    rows = re.findall(r"^\| (\w+) \| .* \| (\d+) \|$", TEXT, re.MULTILINE)
    shown = subprocess.run(
        [RECEIVER, "check", "--help"], capture_output=True, text=True, check=True
    )
    codes = shown.stdout.partition("Exit codes:")[2]
    assert len(rows) == 12
    assert [
        f"{code} {step}" for step, code in rows if f"{code} {step}" not in " ".join(codes.split())
    ] == []
