"""`python -m libmalti check`, and both packages named malti_telemetry in one environment."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import old
import pytest
from harness import HERE, LIBRARY, PATIENCE, ROOT, environment


def run(*command: object, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(part) for part in command],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def check(**settings: str) -> "subprocess.CompletedProcess[str]":
    env = environment("http://user:secret@127.0.0.1:9", **settings)
    return run(sys.executable, "-m", "libmalti", "check", env=env)


def test_what_it_prints() -> None:
    done = check(MALTI_API_KEY="very-secret", MALTI_BATCH_INTERVAL="soon")
    assert (done.returncode, done.stderr) == (0, "")
    version = (ROOT / "Cargo.toml").read_text("utf-8").partition('version = "')[2].partition('"')[0]
    for part in (f"libmalti {version}", LIBRARY, "interface 1.", "service_name: conf", "node: n1"):
        assert part in done.stdout, part
    assert "records requests: yes" in done.stdout and "malti_telemetry: of libmalti" in done.stdout
    assert "warning: MALTI_BATCH_INTERVAL" in done.stdout
    assert "secret" not in done.stdout


def test_without_a_key_it_says_that_nothing_is_recorded() -> None:
    done = check(MALTI_API_KEY="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "api_key: unset" in done.stdout and "records requests: no" in done.stdout


def test_help() -> None:
    for arguments in ([], ["help"], ["--help"]):
        done = run(sys.executable, "-m", "libmalti", *arguments, env=environment(""))
        assert (done.returncode, done.stderr) == (0, "")
        assert "check" in done.stdout
    done = run(sys.executable, "-m", "libmalti", "nonsense", env=environment(""))
    assert done.returncode == 2 and "nonsense" in done.stderr


def test_without_its_library_it_says_where_it_looked() -> None:
    done = check(MALTI_LIBRARY="/nowhere/libmalti.so")
    assert done.returncode == 1 and "/nowhere/libmalti.so" in done.stderr


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the binding."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "python"
    shutil.copytree(HERE.parent, source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source,
        env={**os.environ, "MALTI_PREBUILT_LIB": LIBRARY},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("libmalti-*.whl")
    return wheel


class Environment:
    """One with nothing in it, and a tool that installs things there."""

    def __init__(self, folder: Path, tool: str, wheels: dict[str, Path]) -> None:
        tools = ROOT / ".tools" / "venv" / "bin"
        if not tools.is_dir():
            pytest.skip("make sets up pip and uv in .tools/venv")
        venv.create(folder, with_pip=False)
        self.python = str(folder / "bin" / "python")
        self._wheels = wheels
        self._env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MALTI_", "PYTHON", "PIP_", "UV_"))
        }
        to = ["--python", self.python]
        self._install = [tools / "uv", "pip", "install", *to, "--no-index", "--no-deps"]
        self._uninstall = [tools / "uv", "pip", "uninstall", *to]
        if tool == "pip":
            # Its own option --python does the same, in two processes.
            (folder,) = (tools.parent / "lib").glob("python*/site-packages/pip")
            pip = [self.python, folder, "--no-cache-dir", "--disable-pip-version-check"]
            self._install = [*pip, "install", "--no-index", "--no-deps", "--no-compile"]
            self._uninstall = [*pip, "uninstall", "--yes"]

    def _manage(self, *command: object) -> None:
        done = run(*command, env=self._env)
        assert done.returncode == 0, done.stderr

    def install(self, name: str, *options: str) -> None:
        self._manage(*self._install, *options, self._wheels[name])

    def uninstall(self, name: str) -> None:
        self._manage(*self._uninstall, name)

    def python_says(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run(self.python, *arguments, env={**self._env, "MALTI_LIBRARY": LIBRARY})

    def check(self) -> tuple[int, str]:
        done = self.python_says("-m", "libmalti", "check")
        assert done.stderr == ""
        return done.returncode, done.stdout.partition("\nmalti_telemetry: ")[2]

    def works(self) -> bool:
        code = "import malti_telemetry.middleware as m; print(m.MaltiMiddleware.__module__)"
        return self.python_says("-c", code).stdout == "libmalti.asgi\n"


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest, ours: Path) -> Environment:
    wheels = {"libmalti": ours, "malti-telemetry": old.wheel()}
    return Environment(tmp_path / "env", getattr(request, "param", "uv"), wheels)


# pip takes its time, so that not every case is tried with it.
with_both = pytest.mark.parametrize("place", ["pip", "uv"], indirect=True)


def test_alone_it_works(place: Environment) -> None:
    place.install("libmalti")
    status, said = place.check()
    assert status == 0 and said.startswith("of libmalti, ") and "warning" not in said
    assert place.works()


@with_both
def test_installed_over_the_old_one(place: Environment) -> None:
    place.install("malti-telemetry")
    place.install("libmalti")
    assert place.works()
    status, said = place.check()
    assert status == 0 and "malti-telemetry 1.0.4 is installed too" in said
    # What the migration page, and the check, say to do.
    place.uninstall("malti-telemetry")
    assert not place.works()
    status, said = place.check()
    assert status == 1 and said.startswith("MISSING") and "malti-telemetry was uninstalled" in said
    place.install("libmalti", "--force-reinstall")
    status, said = place.check()
    assert status == 0 and "warning" not in said
    assert place.works()


@with_both
def test_the_old_one_installed_over_it(place: Environment) -> None:
    place.install("libmalti")
    place.install("malti-telemetry")
    assert not place.works()
    status, said = place.check()
    assert status == 1 and said.startswith("NOT OURS")
    assert "malti-telemetry 1.0.4" in said and "pip uninstall malti-telemetry" in said
    place.uninstall("malti-telemetry")
    status, said = place.check()
    assert status == 1 and said.startswith("MISSING")
    place.install("libmalti", "--force-reinstall")
    assert place.check()[0] == 0 and place.works()


@pytest.mark.parametrize(
    ("first", "second"), [("malti-telemetry", "libmalti"), ("libmalti", "malti-telemetry")]
)
def test_uninstalling_it_takes_the_old_ones_files_along(
    place: Environment, first: str, second: str
) -> None:
    place.install(first)
    place.install(second)
    place.uninstall("libmalti")
    code = """
import importlib.metadata, importlib.util
print(importlib.metadata.version("malti-telemetry"), importlib.util.find_spec("libmalti"))
import malti_telemetry.core
"""
    done = place.python_says("-c", code)
    assert done.stdout == "1.0.4 None\n" and "No module named 'malti_telemetry" in done.stderr
