"""The runner sees what is wrong with an app, and says it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
RUN = [sys.executable, str(HERE / "run.py")]
FILE = HERE / "wrong" / "app.py"
AT_A_TIME = 4

# Apps, the ways in which each is wrong, and what is said of each: parts of one line.
WRONG = {
    "records": {
        "endpoint": [
            "clean mode, files: expected GET /files/{path} 200",
            ", got GET /files/{rest} 200",
        ],
        "missing": ["clean mode, stream: expected one record (GET /stream 200", ", got none"],
        "double": ["clean mode, renamed: expected one record", "ms and GET /custom/{x} 200"],
        "stranger": ["clean mode, strangers: records that nothing asked for: GET /nobody 200"],
        "status": ["clean mode, code-403: expected GET /code/{code} 403", " /code/{code} 402"],
        "node": ["clean mode, settings: records of conf on n2"],
    },
    "answers": {
        "answer": ["clean mode, code-403: expected the answer's status to be 403, got 402"],
        "body": ["receiver down, items: expected the answer of the app without", "b'CREATED'"],
        "header": ["receiver down, renamed: expected the answer of the app", "b'x-telemetry: on'"],
        "swallowed": ["receiver down, boom: expected the answer of the app without telemetry"],
    },
    "waits": {"time": ["receiver down, slow: expected GET /slow 499", ": other response_time"]},
    "ends": {
        "late": ["clean mode, sigterm: expected the end within 3.0 s, took "],
        "chatty": ["clean mode, stdout: expected nothing after READY, got 'bye"],
        "ledger": ["clean mode, ledger: its two sides are not equal"],
    },
    "loses": {"lost": ["clean mode, ledger: expected ", ", dropped_shutdown "]},
    "keeps-no-ledger": {"ledger-missing": ["clean mode, run: no ledger in CONFORMANCE_STATS"]},
    "is-not-ready": {"not-ready": ["the app's first line is 'hello', not READY <port>"]},
}
# The same for what they declare: how they are wrong, their deviations, and what is said of them.
DECLARED: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "deviates": (
        "endpoint",
        {"files": 'endpoint = "/files/{rest}"'},
        [],
    ),
    "deviates-no-more": (
        "endpoint",
        {
            "slow": "response_time = [5000, 60000]",
            "head": "status = 405",
            "files": 'endpoint = "/files/{tail}"',
        },
        [
            "receiver down, slow: the declared deviation is no longer true: GET /slow 499",
            "clean mode, head: the declared deviation is no longer true: HEAD /users/{user_id} 200",
            "clean mode, files: expected GET /files/{tail} 200",
        ],
    ),
}
BECAUSE = '\nbecause = "the test wants it"\n'

Done = subprocess.CompletedProcess[str]


def apps() -> str:
    """An apps.toml: the app as it should be, and those that are not."""

    def row(name: str, wrong: str) -> str:
        return f'[{name}]\nfile = "{FILE}"\nenv = ["WRONG={wrong}"]\n'

    text = row("right", "") + "".join(row(name, " ".join(ways)) for name, ways in WRONG.items())
    for name, (wrong, deviations, _) in DECLARED.items():
        text += row(name, wrong)
        text += "".join(f"[{name}.{check}]\n{row}{BECAUSE}" for check, row in deviations.items())
    return text


def run(file: Path, *arguments: str) -> Done:
    command = [*RUN, "--apps", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Done]]]:
    """The runs of all those apps, beside each other."""
    file = tmp_path_factory.mktemp("wrong") / "apps.toml"
    file.write_text(apps(), "utf-8")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        # Who is not well is given less time for what it never will do.
        short = ("--patience=3", "--shutdown-timeout=1")
        yield {
            name: pool.submit(run, file, *(short if name in WRONG else ()), name)
            for name in ("right", *WRONG, *DECLARED)
        }


def test_an_app_that_is_right_passes(runs: dict[str, Future[Done]]) -> None:
    done = runs["right"].result()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("right        ok "), done.stdout


@pytest.mark.parametrize(("name", "way"), [(name, way) for name in WRONG for way in WRONG[name]])
def test_what_is_wrong_is_seen(name: str, way: str, runs: dict[str, Future[Done]]) -> None:
    done = runs[name].result()
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    lines = done.stdout.splitlines()
    assert any(all(part in line for part in WRONG[name][way]) for line in lines), done.stdout


@pytest.mark.parametrize("name", DECLARED)
def test_a_deviation_is_declared_and_true(name: str, runs: dict[str, Future[Done]]) -> None:
    done = runs[name].result()
    said = DECLARED[name][2]
    assert (done.returncode, done.stderr) == (1 if said else 0, ""), done.stdout
    assert [line for line in said if line not in done.stdout] == [], done.stdout
    assert "deviates: files" in done.stdout or said


APP = f'[app]\nfile = "{FILE}"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (APP + "[app.files]\nstatus = 204\n", "[app.files] does not say because of what"),
        (APP + "[app.files]" + BECAUSE, "[app.files] does not say what is recorded instead"),
        (APP + "[app.file]\nstatus = 204" + BECAUSE, "[app.file]: no check has that name"),
        (APP + "[app.files]\nstatus = true" + BECAUSE, "[app.files]: status can't be True"),
        (APP + "[app.files]\nstate = 204" + BECAUSE, "[app.files]: state can't be 204"),
        (
            APP + "[app.clean-nope]\nstatus = 1" + BECAUSE,
            "[app.clean-nope]: no check has that name",
        ),
        ("[app.files]\nstatus = 204" + BECAUSE, "[app.files] stands before [app]"),
        ('[app]\nfile = "nowhere.py"\n', "[app] has a file that is there"),
        (APP + APP, "line 3: [app] is there twice"),
        (APP + "what = is this", "line 3: not understood: what = is this"),
    ],
)
def test_what_apps_toml_can_not_say(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "apps.toml").write_text(text, "utf-8")
    done = run(tmp_path / "apps.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_an_app_that_is_not_there_is_skipped_or_unknown(tmp_path: Path) -> None:
    (tmp_path / "apps.toml").write_text(APP + 'needs = ["no_such_module"]\n', "utf-8")
    done = run(tmp_path / "apps.toml")
    assert done.returncode == 77
    assert done.stdout == "app          skipped: there is no Python module no_such_module\n"
    done = run(tmp_path / "apps.toml", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such app: nobody" in done.stderr


def test_apps_toml_is_toml() -> None:
    """What our reader makes of it is what Python's makes."""
    tomllib = pytest.importorskip("tomllib")
    text = (HERE / "apps.toml").read_text("utf-8")
    code = "import json, catalog; print(json.dumps(catalog.read(open('apps.toml').read())))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, check=True)
    ours: dict[str, object] = json.loads(done.stdout)
    theirs: dict[str, object] = {}
    for app, table in tomllib.loads(text).items():
        theirs[app] = {key: value for key, value in table.items() if not isinstance(value, dict)}
        checks = {key: value for key, value in table.items() if isinstance(value, dict)}
        theirs.update({f"{app}.{check}": value for check, value in checks.items()})
    assert ours == theirs
