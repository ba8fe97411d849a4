"""Start, end, fork, faults of the server: in processes of their own."""

import os
import signal
import socket
import sys
import time
from typing import Any

import pytest
from harness import App, Process, Receiver, environment, script, until

# As a host would be configured: records wait for each other.
PATIENT = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}


def consumers(records: list[dict[str, Any]]) -> list[str]:
    return sorted(record["consumer"] for record in records)


def test_importing_starts_nothing() -> None:
    done = script(
        """
import logging, os, sys, threading
import libmalti
tasks = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1
assert tasks == threading.active_count() == 1, (tasks, threading.enumerate())
assert "asyncio" not in sys.modules
import malti_telemetry
assert malti_telemetry.__libmalti__ == libmalti.__version__
assert malti_telemetry.MaltiMiddleware.__module__ == "libmalti.asgi"
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert libmalti.stats()["recorded"] == 0
""",
        "http://127.0.0.1:9",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_script_that_just_ends_delivers(receiver: Receiver) -> None:
    done = script(
        """
import http, libmalti
assert libmalti.record("GET", "/a", http.HTTPStatus.OK, 1_999, "at-exit")
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (record,) = receiver.records()
    assert record["response_time"] == 1
    assert record["consumer"] == "at-exit"


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise KeyError('x')"])
def test_so_does_one_that_fails(receiver: Receiver, end: str) -> None:
    code = f"import sys, libmalti; libmalti.record('GET', '/a', 200, 1, 'failed'); {end}"
    assert script(code, receiver.url, **PATIENT).returncode != 0
    assert consumers(receiver.records()) == ["failed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_sends_its_own(receiver: Receiver) -> None:
    done = script(
        """
import os, warnings, libmalti
warnings.simplefilter("ignore", DeprecationWarning)
libmalti.record("GET", "/a", 200, 1, "before")
assert libmalti.flush(30)
child = os.fork()
if child == 0:
    libmalti.record("GET", "/a", 200, 1, "child")
    figures = libmalti.stats()
    os._exit(0 if libmalti.flush(30) and figures["recorded"] == 1 else 1)
libmalti.record("GET", "/a", 200, 1, "parent")
assert os.waitpid(child, 0)[1] == 0
assert libmalti.stats()["recorded"] == 2
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert consumers(receiver.records()) == ["before", "child", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_does_not_inherit_a_lock_that_is_held(receiver: Receiver) -> None:
    """A thread that is in the middle of a start does not exist in the child."""
    done = script(
        """
import os, threading, warnings, libmalti
from libmalti._client import client
warnings.simplefilter("ignore", DeprecationWarning)
held, leave = threading.Event(), threading.Event()
def hold():
    with client._lock:
        held.set()
        leave.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    recorded = libmalti.record("GET", "/a", 200, 1, "child")
    os._exit(0 if recorded and libmalti.flush(30) else 1)
leave.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert consumers(receiver.records()) == ["child"]


@pytest.mark.parametrize("name", ["fast", "star"])
def test_sigterm_delivers_everything(receiver: Receiver, name: str) -> None:
    app = App(name, receiver.url, **PATIENT)
    for n in range(25):
        app.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
    assert receiver.records() == []
    app.stop()
    assert consumers(receiver.records()) == sorted(f"c{n}" for n in range(25))


def test_without_lifespan_the_first_request_starts_the_client(receiver: Receiver) -> None:
    app = App("fast", receiver.url, TEST_LIFESPAN="off")
    app.request("GET", "/users/7")
    assert receiver.wait_for(1)[0]["endpoint"] == "/users/{user_id}"
    app.stop()


def answers(app: App) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    found = []
    for method, target in [
        ("GET", "/users/7"),
        ("DELETE", "/users/7"),
        ("GET", "/nope"),
        ("GET", "/stream"),
        ("GET", "/boom"),
        ("GET", "/who"),
        ("HEAD", "/users/7"),
        ("GET", "/tenants/acme/orders/9"),
    ]:
        connection = app.connect()
        connection.request(method, target)
        response = connection.getresponse()
        headers = [pair for pair in response.getheaders() if pair[0] != "date"]
        found.append((response.status, headers, response.read()))
        connection.close()
    return found


def test_a_server_that_is_down_changes_no_answer_and_loses_nothing() -> None:
    first = Receiver()
    first.kill()
    app = App("fast", first.url, MALTI_BATCH_INTERVAL="1", MALTI_RETRY_DELAY="0.1")
    # Switched off, the middleware passes everything through.
    bare = App("fast", first.url, MALTI_ENABLED="false")
    assert answers(app) == answers(bare)
    assert bare.stop() in (0, -signal.SIGTERM)

    def warned() -> bool:
        # Lines are fetched when something is recorded, or left out as this is.
        app.request("GET", "/nope")
        return any("cannot deliver" in line for line in app.errors)

    until("a warning", warned)
    second = Receiver(first.port)
    assert len(second.wait_for(7)) == 7
    app.stop()
    assert len(second.records()) == 7
    second.kill()


def test_sigterm_with_the_server_down_is_not_held_up() -> None:
    gone = Receiver()
    gone.kill()
    app = App("fast", gone.url, MALTI_SHUTDOWN_TIMEOUT="1", **PATIENT)
    app.request("GET", "/users/7")
    began = time.monotonic()
    app.stop()
    assert time.monotonic() - began < 15
    assert any("not delivered before shutdown" in line for line in app.errors), app.errors


def test_a_flush_can_be_interrupted() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    done = script(
        f"""
import os, signal, threading, time
import libmalti
assert libmalti.init(url="http://127.0.0.1:{silent.getsockname()[1]}", shutdown_timeout=0)
assert libmalti.record("GET", "/", 200, 1)
began = time.monotonic()
assert not libmalti.flush(0.3)
assert 0.3 <= time.monotonic() - began < 10
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    libmalti.flush(60)
except KeyboardInterrupt:
    assert time.monotonic() - began < 30
    print("interrupted")
""",
        "http://127.0.0.1:9",
    )
    silent.close()
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_owners(receiver: Receiver) -> None:
    """The client stops with its last owner, and starts again by init alone."""
    done = script(
        """
import libmalti
assert libmalti.init() and libmalti.init()
assert libmalti.shutdown(30)
assert libmalti.record("GET", "/a", 200, 1, "one owner left")
assert libmalti.shutdown(30)
assert not libmalti.record("GET", "/a", 200, 1, "nobody")
assert libmalti.shutdown(30)
assert libmalti.init(node="other")
assert libmalti.record("GET", "/a", 200, 1, "again")
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [(r["consumer"], r["node"]) for r in receiver.records()] == [
        ("one owner left", "n1"),
        ("again", "other"),
    ]


def test_settings(receiver: Receiver) -> None:
    done = script(
        """
import libmalti
def raises(kind, part, **settings):
    try:
        libmalti.init(**settings)
    except kind as error:
        assert part in str(error), error
    else:
        raise AssertionError(settings)
raises(TypeError, "batch_size", batchsize=1)
raises(ValueError, "batch_size", batch_size="many")
raises(TypeError, "a setting is", batch_size=object())
raises(TypeError, "a setting is", url=b"http://localhost")
raises(ValueError, "node", node="a\\0b")
assert libmalti.init(exclude_endpoints=["/health*", "/x"], clean_mode=False, node=None)
assert not libmalti.record("GET", "/healthz", 200, 1)
assert not libmalti.record("GET", "/x", 200, 1)
assert libmalti.record("GET", "/y", 404, 1)
raises(RuntimeError, "clean_mode", clean_mode=True)
assert libmalti.stats()["filtered"] == 2
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_times_that_are_no_plain_numbers(receiver: Receiver) -> None:
    done = script(
        """
import asyncio, math
import libmalti
assert libmalti.record("GET", "/", 200, 1)
assert not libmalti.flush(-1) and not libmalti.flush(math.nan)
assert libmalti.flush(math.inf)
assert asyncio.run(libmalti.aflush(math.inf))
assert libmalti.shutdown(math.inf)
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_values_of_a_record(receiver: Receiver) -> None:
    done = script(
        """
import libmalti
def refused(*arguments):
    try:
        libmalti.record(*arguments)
    except TypeError as error:
        return str(error).split()[0]
assert refused("GET", "/a", 200.0, 1) == "status"
assert refused("GET", "/a", 200, 1.5) == "response_time_us"
assert refused(b"GET", "/a", 200, 1) == "method"
assert refused("GET", None, 200, 1) == "endpoint"
assert refused("GET", "/a", 200, 1, 7) == "consumer"
assert refused("GET", "/a", 200, 1, "c", 7) == "context"
assert libmalti.record("get", "/s/\\ud83d\\ude00", 200, 1, "\\ud800", "\\udfff!")
assert libmalti.record("GET", "", 200, -5, "", "")
assert libmalti.record("GET", "/n", 200, 1 << 80, "a\\0b", "x" * 10_000_000)
for status in (0, 99, 1000, -1, (1 << 32) + 200):
    assert not libmalti.record("GET", "/a", status, 1)
assert libmalti.stats()["invalid"] == 5
""",
        receiver.url,
    )
    assert done.returncode == 0, done.stderr
    names = ("method", "endpoint", "response_time", "consumer", "context")
    assert [tuple(record[name] for name in names) for record in receiver.records()] == [
        ("GET", "/s/\U0001f600", 0, "\ufffd", "\ufffd!"),
        ("GET", "/", 0, "anonymous", None),
        ("GET", "/n", 2**31 - 1, "ab", "x" * 500),
    ]


def test_log_lines_reach_their_logger_alone() -> None:
    done = script(
        """
import logging
lines = []
class Handler(logging.Handler):
    def emit(self, record):
        lines.append((record.name, record.levelname, record.getMessage()))
logging.getLogger("libmalti").addHandler(Handler())
import libmalti
assert not libmalti.init()
assert not libmalti.record("GET", "/a", 200, 1)
assert [line[:2] for line in lines if "api_key" in line[2].lower()] == [("libmalti", "WARNING")]
assert not logging.root.handlers
""",
        "http://127.0.0.1:9",
        MALTI_API_KEY="",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_handler_that_raises_breaks_nothing() -> None:
    done = script(
        """
import logging
class Broken(logging.Filter):
    def filter(self, record):
        raise RuntimeError("broken filter")
logging.getLogger("libmalti").addFilter(Broken())
import libmalti
assert libmalti.init(url="stderr:", batch_size=1) is True
assert not libmalti.record("GET", "/a", 99, 1)
libmalti.stats()
""",
        "http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr


def test_a_bad_setting_in_the_environment_does_not_stop_the_host(receiver: Receiver) -> None:
    app = App("fast", receiver.url, MALTI_BATCH_INTERVAL="soon")
    app.request("GET", "/users/7")
    receiver.wait_for(1)
    app.stop()
    assert any("MALTI_BATCH_INTERVAL" in line or "soon" in line for line in app.errors)


def test_a_library_that_is_missing() -> None:
    done = script("import libmalti", "http://127.0.0.1:9", MALTI_LIBRARY="/nowhere/libmalti.so")
    assert "ImportError: libmalti's native library was not found" in done.stderr


def test_a_library_that_is_none() -> None:
    """Its place is looked at when the package is imported, it itself when it is used."""
    complaint = "libmalti's native library could not be loaded"
    done = script("import libmalti; libmalti.init()", "http://127.0.0.1:9", MALTI_LIBRARY=__file__)
    assert f"ImportError: {complaint}" in done.stderr
    done = script(
        """
import asyncio
from libmalti.asgi import MaltiMiddleware
async def app(scope, receive, send):
    print(scope["type"])
app = MaltiMiddleware(app, service_name="shop")
for kind in ("lifespan", "http"):
    asyncio.run(app({"type": kind, "path": "/"}, None, None))
""",
        "http://127.0.0.1:9",
        MALTI_LIBRARY=__file__,
    )
    assert (done.returncode, done.stdout) == (0, "lifespan\nhttp\n"), done.stderr
    assert done.stderr.startswith(f"nothing is recorded: {complaint}"), done.stderr


def test_a_server_with_several_workers(receiver: Receiver) -> None:
    """uvicorn's workers are new processes that import the app; each delivers its own."""
    command = [sys.executable, "-m", "uvicorn", "fast:app", "--workers", "2"]
    command += ["--host", "127.0.0.1", "--port", "0", "--log-level", "info", "--ws", "none"]
    process = Process(command, environment(receiver.url, **PATIENT))
    marker = "Application startup complete"
    until("both workers", lambda: sum(marker in line for line in process.errors) == 2)
    running = next(line for line in process.errors if "running on" in line)
    app = App.__new__(App)
    app.port = int(running.split("127.0.0.1:")[1].split()[0])
    for n in range(40):
        app.request("GET", f"/users/{n}", None, {"X-Consumer-Id": f"c{n}"})
    process.stop()
    assert consumers(receiver.records()) == sorted(f"c{n}" for n in range(40))
