"""The page on operating: its arithmetic, its health check, its log lines."""

# ruff: noqa: RUF001 (the page has signs of arithmetic)

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Process, environment, script, until
from newcomer import Quickstart
from snippets import ROOT, Where, at

PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
SIZES = PAGE.partition("\n## Sizes\n")[2].partition("\n## ")[0]
BLOCKS: dict[str, Where] = {
    "longer outages": ("docs/operating.md", "sh", "export MALTI_BUFFER_SIZE"),
    "eight spools": ("docs/operating.md", "sh", "export MALTI_SPOOL_DIR"),
    "health": ("docs/operating.md", "python", "import libmalti"),
}
# As src/config/keys.rs has them; tests/settings_page.rs compares that with docs/configuration.md.
DEFAULTS = {
    name.lower(): float(value)
    for name, value in re.findall(
        r"^\| `MALTI_(\w+)` \| `([\d.]+)` ",
        (ROOT / "docs" / "configuration.md").read_text("utf-8"),
        re.MULTILINE,
    )
}


def block(name: str) -> str:
    return at(BLOCKS[name])


def exported(text: str) -> dict[str, str]:
    return dict(re.findall(r"^export MALTI_(\w+)=(\S+)$", text, re.MULTILINE))


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address that is ours, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def number(pattern: str) -> float:
    """The one number that stands where the pattern has its group."""
    found = re.findall(pattern, " ".join(SIZES.split()))
    assert len(found) == 1, pattern
    return float(found[0].replace(",", ""))


def says(text: str) -> None:
    assert text in " ".join(SIZES.split()), text


RECORD = """
import libmalti
libmalti.record("GET", "/users/{user_id}", 200, 1000, consumer="alice")
libmalti.shutdown(10)
"""


def test_the_size_of_a_record(tmp_path: Path) -> None:
    packed = 24 + len("GET") + len("/users/{user_id}") + len("alice")
    packed += -packed % 8
    says(f"24 + 3 + 16 + 5 = {packed}")
    file = tmp_path / "records"
    done = script(RECORD, f"file:{file}", MALTI_SERVICE_NAME="my-service", MALTI_NODE="web-1")
    assert done.returncode == 0, done.stderr
    line = file.read_bytes()
    says(f"its line has {len(line)} bytes, so `j` = {len(line)}")
    says(f"`batch_size` × `j` = {int(DEFAULTS['batch_size']) * len(line):,} bytes")
    says(f"{int(DEFAULTS['batch_bytes']):,} of `batch_bytes`")


def test_how_long_an_outage_costs_nothing() -> None:
    size, room, b, rate = DEFAULTS["buffer_size"], DEFAULTS["buffer_bytes"], 48, 100
    by_bytes = int(room // b)
    says(f"min({int(size):,}, {by_bytes:,}) / {rate} = {min(size, by_bytes) / rate:.0f} s")
    records = rate * 3600
    says(f"{rate} × 3,600 = {records:,} records")
    says(f"{records:,} × {b} = {records * b:,} bytes, which is more than both defaults")
    assert records > size
    assert records * b > room
    assert exported(block("longer outages")) == {
        "BUFFER_SIZE": str(records),
        "BUFFER_BYTES": str(records * b),
    }
    says(f"2 × `buffer_bytes` + 128 KiB, which is {2 * records * b + 128 * 1024:,} bytes")


def test_requests_and_catching_up() -> None:
    size, interval = DEFAULTS["batch_size"], DEFAULTS["batch_interval"]
    says(f"{size:.0f} / {interval:.0f} = {size / interval:.1f} with the defaults")
    says(f"100 / {size:.0f} = {100 / size:.1f}, and from eight processes {8 * 100 / size:.1f}")
    backlog = 8 * DEFAULTS["buffer_size"]
    says(f"8 × 25,000 / (5,000 − 8 × 100) = {backlog / (5000 - 8 * 100):.0f} s")


def test_a_process_s_file_in_the_spool(tmp_path: Path, nowhere: str) -> None:
    length = int(number(r"With the defaults that is ([\d,]+) bytes"))
    allowed, room = int(DEFAULTS["spool_bytes"]), number(r"has room for (\d+) processes")
    says(f"`spool_bytes`, {allowed:,}, has room")
    assert room == allowed // length
    head = int(number(r"2 × `buffer_bytes` \+ ([\d,]+) bytes"))
    assert length == 2 * int(DEFAULTS["buffer_bytes"]) + head
    assert exported(block("eight spools"))["SPOOL_BYTES"] == str(2 * 8 * length)
    code = f"import libmalti, os, time\nlibmalti.record('GET', '/', 200, 1)\n{WAIT}"
    done = script(code, nowhere, MALTI_SPOOL_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{length}\n"


WAIT = """
import glob
while not (found := glob.glob(os.environ["MALTI_SPOOL_DIR"] + "/malti-*.spool")):
    time.sleep(0.01)
print(os.stat(found[0]).st_size, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the durable buffer is Linux's")
def test_a_process_too_many_has_no_room(tmp_path: Path, nowhere: str) -> None:
    length = 4096 + 2 * (65_536 // 8192 + 8) * 8192
    settings = {"MALTI_SPOOL_DIR": str(tmp_path), "MALTI_BUFFER_BYTES": "65536"}
    settings["MALTI_SPOOL_BYTES"] = str(max(2 * length - 1, 1_048_576))
    count = int(settings["MALTI_SPOOL_BYTES"]) // length
    children: list[Process] = []
    try:
        for _ in range(count):
            children.append(Process([sys.executable, "-c", HOLD], environment(nowhere, **settings)))
            until("its file", lambda: len(list(tmp_path.glob("*.spool"))) == len(children))
        last = Process([sys.executable, "-c", HOLD], environment(nowhere, **settings))
        children.append(last)
        until("its line", lambda: "records are in memory alone" in "".join(last.errors))
    finally:
        for child in children:
            child.kill()


HOLD = """
import logging, time, libmalti
logging.basicConfig()
libmalti.record("GET", "/", 200, 1)
while True:
    libmalti.stats()  # logs what there is to say
    time.sleep(0.05)
"""

HEALTH = """
print(telemetry_trouble())
for _ in range({count}):
    libmalti.record("GET", "/", 200, 1)
while not (libmalti.flush(1) or libmalti.stats()["last_error"]):
    pass
print(telemetry_trouble())
import os
os._exit(0)
"""


@pytest.mark.parametrize(
    ("key", "up", "count", "trouble"),
    [
        ("demo-key", True, 1, "None"),
        ("", True, 1, "nothing is recorded: no key, .*"),
        ("other", True, 1, "refused: .*HTTP 401.*"),
        ("demo-key", False, 6, "6 records wait: .*connection refused"),
        ("demo-key", False, 20, r"\d+ records dropped"),
    ],
    ids=["well", "disabled", "refused", "filling", "dropped"],
)
def test_the_health_check(key: str, up: bool, count: int, trouble: str, nowhere: str) -> None:
    receiver = Quickstart()
    try:
        code = block("health") + HEALTH.format(count=count)
        more = {"MALTI_API_KEY": key, "MALTI_SERVICE_NAME": "my-service"}
        more |= {"MALTI_BUFFER_SIZE": "10", "MALTI_MAX_RETRIES": "0"}
        done = script(code, receiver.url if up else nowhere, **more)
        assert done.returncode == 0, done.stderr
        before, after = done.stdout.splitlines()
        assert before.startswith("nothing is recorded: ")  # It starts with the first record.
        assert re.fullmatch(trouble, after), after
    finally:
        receiver.kill()


# What is filled in: in the page a word in capitals, in the sources braces.
CAPITALS = re.compile(r"\b[A-Z]+\b(?!-)|\"default-service\"")
BRACES = re.compile(r"\$?\{[^{}]*\}")
BY_A_LOGGER = re.compile(
    r"""(?: \.log(?:_later)?\(\s*(?:crate::log::)?Level::(?P<level>\w+),
        |   (?P<list>warnings|remarks)\s*\.push\(\(?
        |   write_line\(Level::(?P<direct>\w+),
        |   Level::(?P<ring>Warn),(?=\s*format!)
        |   url\.map_err\(\|reason\|
        ) \s*(?:format_args!\(|format!\()?\s*"(?P<text>(?:[^"\\]|\\.)*)\"""",
    re.VERBOSE,
)


def template(line: str, filled_in: re.Pattern[str]) -> str:
    """A line in which what is filled in is one sign."""
    return " ".join(filled_in.sub("*", line.replace("API key", "the-key")).split())


def rows(head: str) -> dict[str, str]:
    """The first cell of each row of a table, and the second one."""
    table = PAGE.partition(f"\n{head}\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", table, re.MULTILINE))


def rust() -> str:
    texts = []
    for path in sorted((ROOT / "src").rglob("*.rs")):
        if path.name != "tests.rs" and "tests" not in path.parts:
            texts.append(path.read_text("utf-8").partition("\n#[cfg(test)]\nmod tests {")[0])
    return "\n".join(texts)


def test_the_table_has_each_line_of_the_library() -> None:
    source = rust()
    said = {}
    for found in BY_A_LOGGER.finditer(source):
        level = found["level"] or found["direct"] or found["ring"] or "Warn"
        text = template(found["text"].replace('\\"', '"'), BRACES)
        said["spool_dir: " + text if found["list"] == "remarks" else text] = level.lower()
    # Two that are put together from parts.
    assert said.pop("spool_dir: *") == "warn"
    assert said.pop("*: *; *") == "warn"
    for part in ("invalid value {value:?}: {reason}; accepted:", "using the default {default}"):
        assert part in source
    said["*: invalid value *: *; accepted: *; using the default *"] = "warn"
    page = rows("| line | level | what to do |")
    assert {template(line, CAPITALS): level for line, level in page.items()} == said


def test_no_line_comes_by_another_way() -> None:
    """A logger is given a literal, or one of the warnings that the table test has looked at."""
    calls = re.findall(r"\.log(?:_later)?\(\s*(?:Level::\w+,\s*)?(\"|\w+)", rust())
    assert len(calls) > 10
    others = sorted(call for call in calls if call not in ('"', "format_args"))
    assert others == ["level", "warning"], "is its text in the table?"


BINDINGS = {
    "Python": (
        "bindings/python/src/**/*.py",
        r"""_log\.(?:note|once)\(\s*[^,]+,\s*f?"([^"]+)()\"""",
    ),
    "Node": (
        "bindings/node/lib/*.js",
        r"""(?<![.\w])(?:once|fault)\(["'`]([^"`]+?)["'`](, error)?\)""",
    ),
    "Go": ("bindings/go/*.go", r"""lines\.once\((?:fmt\.Sprintf\()?"([^"]+)"( \+)?"""),
}


def test_the_table_has_each_line_of_the_bindings() -> None:
    said: dict[str, set[str]] = {}
    for language, (files, pattern) in BINDINGS.items():
        for path in sorted(ROOT.glob(files)):
            for text, more in re.findall(pattern, path.read_text("utf-8")):
                # The reason comes behind it.
                text += {"": "", " +": "{}", ", error": ": {} (said once)"}[more]
                line = template(text, re.compile(r"\$?{[^{}]*}|%v")).replace("*: *", "*")
                said.setdefault(line, set()).add(language)
    # How Node says a fault of each kind.
    assert said.pop("* (said once)") == {"Node"}
    page = {
        template(line, CAPITALS): set(languages.split(", "))
        for line, languages in rows("| line | of | what to do |").items()
    }
    assert page == said


def test_troubleshooting_names_lines_that_there_are() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    table = text.partition("\n| symptom | log line | remedy |\n")[2].partition("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", row)[2] for row in table.splitlines()[1:]]
    named = [line for cell in cells for line in re.findall(r"`([^`]+)`", cell)]
    assert len(named) > 5
    lines = rows("| line | level | what to do |") | rows("| line | of | what to do |")
    assert [line for line in named if line not in lines] == []
