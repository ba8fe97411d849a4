"""Log lines in a host whose handlers record requests themselves, or hold locks."""

import pytest
from harness import Receiver, script


def test_a_handler_that_records_is_not_called_from_itself(receiver: Receiver) -> None:
    """Not even where each of its calls leads to one more line."""
    done = script(
        """
import logging
import libmalti
from libmalti import _log
depth = deepest = calls = 0
class Records(logging.Handler):
    def emit(self, line):
        global depth, deepest, calls
        depth += 1
        deepest, calls = max(depth, deepest), calls + 1
        _log.note(str(calls), "one more")
        libmalti.record("GET", "/", 200, 1, f"line-{calls}")
        libmalti.flush(30)
        libmalti.stats()
        depth -= 1
logging.getLogger("libmalti").addHandler(Records())
_log.note("0", "the first")
libmalti.init()
assert (deepest, calls) == (1, 1), (deepest, calls)
libmalti.stats()
assert (deepest, calls) == (1, 2), (deepest, calls)
logging.getLogger("libmalti").handlers.clear()
""",
        receiver.url,
    )
    assert done.returncode == 0, done.stderr
    assert [r["consumer"] for r in receiver.records()] == ["line-1", "line-2"]


def test_a_handler_holds_no_first_record_up(receiver: Receiver) -> None:
    """One thread is in a handler, which records; another makes the first record, and that logs."""
    done = script(
        """
import faulthandler, logging, threading, time
import libmalti
from libmalti._client import client
faulthandler.dump_traceback_later(30, exit=True)
entered = threading.Event()
class Records(logging.Handler):
    def emit(self, line):
        if line.name == "application":
            entered.set()
            # Until the other thread has begun to start the client.
            while not client.started and client._lock.acquire(blocking=False):
                client._lock.release()
                time.sleep(0.001)
        libmalti.record("GET", "/", 200, 1, line.name)
logging.getLogger().addHandler(Records())
application = logging.getLogger("application")
thread = threading.Thread(target=application.warning, args=("busy",))
thread.start()
entered.wait()
libmalti.record("GET", "/", 200, 1, "first")
thread.join()
""",
        receiver.url,
        MALTI_SERVICE_NAME="",
    )
    assert done.returncode == 0, done.stderr
    found = sorted(record["consumer"] for record in receiver.records())
    assert found == ["application", "first", "libmalti"]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_middleware_of_a_log_server(receiver: Receiver, level: str) -> None:
    """A handler that posts each line to the application that is recorded."""
    done = script(
        f"""
import io, logging, time
import libmalti
from libmalti.wsgi import MaltiMiddleware
def application(environ, start):
    start("200 OK", [])
    return [b""]
app = MaltiMiddleware(application)
environ = {{"REQUEST_METHOD": "POST", "PATH_INFO": "/logs", "wsgi.input": io.BytesIO()}}
calls = 0
class Posts(logging.Handler):
    def emit(self, line):
        global calls
        calls += 1
        body = app(dict(environ), lambda *_: None)
        list(body)
        getattr(body, "close", lambda: None)()
logger = logging.getLogger("libmalti")
logger.setLevel("DEBUG")
logger.addHandler(Posts())
libmalti.init(log="{level}", batch_size=1, service_name="")
for _ in range(50):
    libmalti.record("GET", "/", 200, 1)
    assert libmalti.flush(30)
assert 0 < calls < 200, calls
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_that_comes_while_a_handler_records_is_not_forgotten(receiver: Receiver) -> None:
    done = script(
        """
import logging, time
import libmalti
lines = []
class Keep(logging.Handler):
    def emit(self, line):
        lines.append(line.getMessage())
        if "status" in lines[-1]:
            libmalti.record("", "/", 200, 1)
            libmalti.record("GET", "/", 200, 1)
logger = logging.getLogger("libmalti")
logger.addHandler(Keep())
logger.propagate = False
libmalti.init(service_name="", log="warn")
lines.clear()
libmalti.record("GET", "/", 7, 1)
limit = time.monotonic() + 5
while len(lines) < 2 and time.monotonic() < limit:
    libmalti.record("GET", "/", 200, 1)
    time.sleep(0.001)
assert [line.split(":")[1] for line in lines] == [" status", " method"], lines
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_last_line_reaches_the_logger(receiver: Receiver) -> None:
    done = script(
        """
import logging
import libmalti
lines = []
class Keep(logging.Handler):
    def emit(self, line): lines.append(line.getMessage())
logger = logging.getLogger("libmalti")
logger.addHandler(Keep())
logger.propagate = False
libmalti.init(url="http://127.0.0.1:1")
libmalti.record("GET", "/", 200, 1)
assert not libmalti.shutdown(0)
assert "not delivered before shutdown: 1" in lines[-1], lines
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")
