"""The page on Vector: the file that the library writes, and a configuration that fits it."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import LIBRARY, RECEIVER, SOURCES, Process, Receiver
from newcomer import environment, shell
from snippets import Where, at

BLOCKS: dict[str, Where] = {
    "directory": ("docs/vector.md", "sh", "install -d"),
    "settings": ("docs/vector.md", "sh", "export MALTI_URL=file:"),
    "line": ("docs/vector.md", "json", '{"service":'),
    "configuration": ("docs/vector.md", "yaml", "data_dir:"),
    "both": ("docs/vector.md", "sh", "malti send"),
}
TABLE: Where = ("docs/vector.md", "sql", "CREATE TABLE")
RECORDS = """
import libmalti
libmalti.record("GET", "/users/{user_id}", 200, 12000, consumer="alice")
libmalti.record("GET", "/users/{user_id}", 503, 7, context="plan=pro")
libmalti.shutdown(30)
"""


def block(name: str) -> str:
    return at(BLOCKS[name])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The file of a service that follows the page, in a folder of the test's."""
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    commands = block("directory").replace("/var/log/malti", f"{tmp_path}/malti")
    commands = commands.replace("-o shop -g vector", f"-o {user} -g {group}")
    done = shell(commands, tmp_path)
    assert done.returncode == 0, done.stderr
    exports = block("settings").replace("/var/log/malti", f"{tmp_path}/malti")
    (tmp_path / "service.py").write_text(RECORDS, "utf-8")
    run = f"{exports}\n'{sys.executable}' service.py"
    found = {"PYTHONPATH": str(SOURCES), "MALTI_LIBRARY": LIBRARY, "MALTI_NODE": "web-1"}
    done = shell(run, tmp_path, **found)
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "malti" / "records.ndjson"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_file_has_the_lines_that_the_page_shows(written: Path) -> None:
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    shown = json.loads(block("line"))
    first, second = lines(written)
    assert list(first) == list(shown)
    assert {**first, "created_at": ""} == {**shown, "created_at": ""}
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
    assert re.fullmatch(time, shown["created_at"])
    assert re.fullmatch(time, first["created_at"])
    assert second["context"] == "plan=pro"


def test_the_configuration_passes_records_on(written: Path) -> None:
    yaml = pytest.importorskip("yaml")
    conf = yaml.safe_load(block("configuration"))
    steps = {**conf["sources"], **conf["transforms"]}
    for step in [*conf["transforms"].values(), *conf["sinks"].values()]:
        assert set(step["inputs"]) <= steps.keys()
    (pattern,) = conf["sources"]["malti_file"]["include"]
    (url,) = re.findall(r"MALTI_URL=file:(\S+)", block("settings"))
    assert Path(url).match(pattern)
    columns = re.findall(r"^    (\w+) ", at(TABLE), re.M)
    assert sorted(columns) == sorted(lines(written)[1])
    assert conf["sinks"]["kafka"]["key_field"] in columns


def test_the_tool_reads_the_same_file(written: Path) -> None:
    receiver = Receiver()
    folder = str(Path(RECEIVER).parent)
    command = block("both").replace("/var/log/malti", str(written.parent))
    settings = {"MALTI_URL": receiver.url, "MALTI_API_KEY": "key", "MALTI_BATCH_INTERVAL": "0.1"}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    tool = Process(["sh", "-c", f"exec {command}"], {**environment(**settings), "PATH": path})
    try:
        assert [record["status"] for record in receiver.wait_for(2)] == [200, 503]
        # Rotated by renaming, while it is followed.
        written.rename(written.with_suffix(".1"))
        line = json.dumps({**json.loads(block("line")), "status": 201})
        written.write_text(line + "\n", "utf-8")
        assert receiver.wait_for(3)[2]["status"] == 201
        tool.child.send_signal(signal.SIGTERM)
        assert tool.wait() == 0
    finally:
        tool.kill()
        receiver.kill()
