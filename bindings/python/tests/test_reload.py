"""Notebooks and interactive sessions, where modules are imported again and settings tried out."""

import os
import subprocess
import sys

import pytest
from faults import PATIENT, Deaf
from harness import PATIENCE, Receiver, environment, script

AGAIN = {
    "reload": """
import importlib
def again():
    for name in sorted(name for name in sys.modules if name.startswith(("libmalti", "malti_"))):
        importlib.reload(sys.modules[name])
    importlib.reload(libmalti)
""",
    "reload the package alone": """
import importlib
def again():
    importlib.reload(libmalti)
""",
    "import anew": """
def again():
    global libmalti
    for name in [name for name in sys.modules if name.startswith(("libmalti", "malti_"))]:
        del sys.modules[name]
    import libmalti
""",
}

LIFE = """
record = libmalti.record
assert libmalti.init() and record("GET", "/", 200, 1, "before")
again()
assert libmalti.record is not record or AGAIN.startswith("reload the")
assert record("GET", "/", 200, 1, "by the earlier one")
assert libmalti.record("GET", "/", 200, 1, "after")
assert libmalti.stats()["recorded"] == 3
assert libmalti.init()
again()
# Two owners, whoever took them.
assert libmalti.shutdown(30) and libmalti.record("GET", "/", 200, 1, "one owner left")
assert libmalti.shutdown(30) and not libmalti.record("GET", "/", 200, 1, "nobody")
assert libmalti.init(batch_size=7) and libmalti.record("GET", "/", 200, 1, "another life")
again()
assert libmalti.record("GET", "/", 200, 1, "at exit")
"""


def program(way: str, code: str) -> str:
    return f"import sys, libmalti, malti_telemetry\nAGAIN = {way!r}\n{AGAIN[way]}\n{code}"


@pytest.mark.parametrize("way", AGAIN)
def test_there_stays_one_client(receiver: Receiver, way: str) -> None:
    done = script(program(way, LIFE), receiver.url, **PATIENT)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["before", "by the earlier one", "after", "one owner left", "another life", "at exit"]
    assert [record["consumer"] for record in receiver.records()] == names


@pytest.mark.parametrize("way", AGAIN)
def test_the_end_takes_its_time_once(way: str) -> None:
    """Five clients would take five times as long."""
    deaf = Deaf(hangs=True)
    code = """
import atexit, time
atexit.register(lambda: print(time.monotonic() - ended))
libmalti.init(shutdown_timeout=1)
for _ in range(4):
    again()
    assert libmalti.init(shutdown_timeout=1) and libmalti.record("GET", "/", 200, 1)
ended = time.monotonic()
"""
    done = script(program(way, code), deaf.url, **PATIENT)
    deaf.close()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("not delivered before shutdown: 4") == 1, done.stderr
    assert 1 <= float(done.stdout) < 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("way", AGAIN)
def test_a_child_ends_once(receiver: Receiver, way: str) -> None:
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
libmalti.record("GET", "/", 200, 1, "parent")
again()
def work():
    libmalti.record("GET", "/", 200, 1, "child")
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
"""
    done = script(program(way, code), receiver.url, **PATIENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(record["consumer"] for record in receiver.records()) == ["child", "parent"]


def test_other_settings_while_it_runs_and_after_its_end(receiver: Receiver) -> None:
    done = script(
        """
import libmalti
assert libmalti.init(node="first")
try:
    libmalti.init(node="second")
except RuntimeError as error:
    assert "node" in str(error) and "libmalti.shutdown()" in str(error), error
else:
    raise AssertionError
libmalti.record("GET", "/", 200, 1, "a")
assert libmalti.shutdown(30) and libmalti.init(node="second")
libmalti.record("GET", "/", 200, 1, "b")
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [(record["consumer"], record["node"]) for record in receiver.records()]
    assert found == [("a", "first"), ("b", "second")]


def test_an_interactive_session(receiver: Receiver) -> None:
    """Its lines are typed, its standard input ends, and what was recorded is delivered."""
    lines = "import libmalti\nlibmalti.record('GET', '/', 200, 1, 'typed')\n1/0\n"
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        env=environment(receiver.url, **PATIENT),
        input=lines,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0 and "True" in done.stdout, done.stderr
    assert [record["consumer"] for record in receiver.records()] == ["typed"]
