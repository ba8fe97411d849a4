"""`libmalti.testing`: the records of a block, in processes without settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE, Receiver, environment


def bare(**more: str) -> dict[str, str]:
    """The environment of a developer's machine or of CI: no setting but `more`."""
    kept = environment("")
    for name in [name for name in kept if name.startswith("MALTI_") and name != "MALTI_LIBRARY"]:
        del kept[name]
    return {**kept, **more}


def silent(code: str, **more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=bare(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_would_be_sent() -> None:
    silent(
        """
from datetime import datetime, timedelta, timezone
import libmalti
from libmalti.testing import Record, capture
before = datetime.now(timezone.utc)
with capture(service_name="s", node="n") as records:
    assert records == [] and len(records) == 0
    assert libmalti.record("get", "/users/<int:id>", 200, 1_999, "me", "line\\nbreak")
    assert len(records) == 1 and records[0].method == "GET"
    assert not libmalti.record("GET", "/nope", 404, 1)
    assert libmalti.record("GET", "/b", 500, 1)
first, second = records
assert first == Record("s", "n", "GET", "/users/{int:id}", 200, 1, "me", "line break",
                       first.created_at)
assert before <= first.created_at <= datetime.now(timezone.utc)
assert first.created_at.utcoffset() == timedelta(0)
assert (second.endpoint, second.consumer, second.context) == ("/b", "anonymous", None)
assert records == [first, second] == list(records) and records != [first]
assert records[-1] is second or records[-1] == second
assert list(records[:1]) == [first] and "/users/{int:id}" in repr(records)
"""
    )


def test_settings_and_what_the_application_said_before() -> None:
    silent(
        """
import libmalti
from libmalti.asgi import MaltiMiddleware
from libmalti.testing import capture
MaltiMiddleware(None, node="of the app")
with capture(clean_mode=False) as records:
    assert libmalti.record("GET", "/nope", 404, 1)
    with capture(clean_mode=False):
        pass
assert [(r.node, r.status) for r in records] == [("of the app", 404)]
with capture() as records:
    assert not libmalti.record("GET", "/nope", 404, 1)
assert records == []
for wrong, kind in [({"batch_size": "many"}, ValueError), ({"batchsize": 1}, TypeError)]:
    try:
        with capture(**wrong):
            raise AssertionError
    except kind:
        pass
with capture() as records:
    assert libmalti.record("GET", "/", 200, 1)
assert len(records) == 1
""",
        MALTI_NODE="of the environment",
    )


def test_blocks_nest_overlap_and_share_threads() -> None:
    silent(
        """
import threading
import libmalti
from libmalti.testing import capture
def record(name):
    assert libmalti.record("GET", f"/{name}", 200, 1)
def names(records):
    return [record.endpoint[1:] for record in records]
with capture() as outer:
    record("a")
    with capture() as inner:
        record("b")
        thread = threading.Thread(target=record, args=("thread",))
        thread.start()
        thread.join()
    record("c")
    try:
        with capture(node="other"):
            raise AssertionError
    except RuntimeError as error:
        assert "other settings" in str(error)
    record("d")
assert names(inner) == ["b", "thread"] and names(outer) == ["a", "b", "thread", "c", "d"]

first, second = capture(), capture()
a = first.__enter__()
record("x")
b = second.__enter__()
record("y")
first.__exit__(None, None, None)
record("z")
second.__exit__(None, None, None)
assert (names(a), names(b)) == (["x", "y"], ["y", "z"])

found = {}
gate = threading.Barrier(8)
def one(n):
    gate.wait()
    for m in range(100):
        with capture() as records:
            record(f"{n}.{m}")
        assert f"{n}.{m}" in names(records)
    found[n] = True
threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8
"""
    )


def test_afterwards_all_is_as_before(tmp_path: Path, receiver: Receiver) -> None:
    silent(
        """
import os, tempfile
import libmalti
from libmalti.testing import capture
try:
    with capture() as records:
        assert libmalti.init() and libmalti.init()   # the application's, and never given back
        assert libmalti.record("GET", "/a", 200, 1)
        raise KeyError
except KeyError:
    pass
assert len(records) == 1
assert os.listdir(tempfile.gettempdir()) == []
assert libmalti.stats()["state"] == "stopped"
# Now the application runs as ever.
os.environ["MALTI_API_KEY"] = "key"
os.environ["MALTI_SERVICE_NAME"] = "conf"
assert libmalti.record("GET", "/real", 200, 1)
assert libmalti.flush(30)
try:
    with capture():
        raise AssertionError
except RuntimeError as error:
    assert "not running" in str(error) and os.environ["MALTI_URL"] in str(error), error
assert libmalti.record("GET", "/real", 200, 1)
""",
        MALTI_URL=receiver.url,
        TMPDIR=str(tmp_path),
    )
    assert [record["endpoint"] for record in receiver.records()] == ["/real", "/real"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_children_write_to_the_same_file() -> None:
    silent(
        """
import os, warnings
import libmalti
from libmalti.testing import capture
warnings.simplefilter("ignore", DeprecationWarning)
with capture() as records:
    libmalti.record("GET", "/parent", 200, 1)
    child = os.fork()
    if child == 0:
        libmalti.record("GET", "/child", 200, 1)
        os._exit(0 if libmalti.flush(30) else 1)
    assert os.waitpid(child, 0)[1] == 0
assert sorted(record.endpoint for record in records) == ["/child", "/parent"]
"""
    )


SUITE = """
import pytest
from fastapi import FastAPI
from libmalti.testing import Records, capture
from malti_telemetry.middleware import MaltiMiddleware
from starlette.testclient import TestClient

app = FastAPI()
app.add_middleware(MaltiMiddleware)

@app.get("/users/{user_id}")
async def user(user_id: int) -> int:
    return user_id

@pytest.fixture
def records():
    with capture() as records:
        yield records

def test_without():
    assert TestClient(app).get("/users/7").status_code == 200

def test_block():
    with capture() as records:
        TestClient(app).get("/users/7")
    assert [record.endpoint for record in records] == ["/users/{user_id}"]

def test_fixture(records: Records):
    with TestClient(app) as client:
        client.get("/users/8", headers={"X-User-Id": "u"})
        assert [record.consumer for record in records] == ["u"]
    with TestClient(app) as client:
        client.get("/users/x")
    assert [record.status for record in records] == [200, 422]

def test_without_again():
    with TestClient(app) as client:
        assert client.get("/users/7").status_code == 200
"""


def test_a_suite_of_an_application(tmp_path: Path) -> None:
    suite = tmp_path / "test_app.py"
    suite.write_text(SUITE, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)],
        env=bare(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert "malti" not in (done.stdout + done.stderr).replace("libmalti", "").lower()


# As pytest-forked and the like do: each test in a child, which leaves by `os._exit`.
FORKS = """
import os, warnings
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
    if child == 0:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        os._exit(0 if all(report.passed for report in reports) else 1)
    item.failed = os.waitpid(child, 0)[1] != 0
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    return True

@pytest.fixture(autouse=True)
def in_the_child(request):
    yield
    assert not getattr(request.node, "failed", False), "it failed in the child"
"""

FORKED = """
import libmalti
import pytest
from libmalti.testing import capture

@pytest.mark.parametrize("number", range(3))
def test_block(number):
    assert not libmalti.record("GET", "/outside", 200, 1)
    with capture() as records:
        libmalti.record("GET", f"/{number}", 200, 1)
        assert [record.endpoint for record in records] == [f"/{number}"]
    assert not libmalti.record("GET", "/outside", 200, 1)
    assert [record.endpoint for record in records] == [f"/{number}"]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_suite_whose_tests_are_forked(tmp_path: Path) -> None:
    """Each of them runs in a child, then once more in the parent, whose client came and went."""
    (tmp_path / "conftest.py").write_text(FORKS, "utf-8")
    suite = tmp_path / "test_forked.py"
    suite.write_text(FORKED, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)],
        env=bare(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
