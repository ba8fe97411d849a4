"""What an interpreter can be or do that a library notices: warnings as errors, threads that it does
not wait for, other interpreters inside it, hooks around fork, another program in its place.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import PATIENT
from harness import PATIENCE, Receiver, environment, script


def strict(code: str, url: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end, where each warning is an error, also of what nobody closed."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env=environment(url, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_no_warning(receiver: Receiver) -> None:
    done = strict(
        """
import asyncio, gc, importlib, threading, tracemalloc
import libmalti, libmalti.asgi, libmalti.testing, libmalti.wsgi, malti_telemetry
tracemalloc.start()
async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
async def main():
    app = libmalti.asgi.MaltiMiddleware(application)
    scope = {"type": "http", "method": "GET", "path": "/asgi", "headers": [], "state": {}}
    async def receive():
        return {"type": "http.request"}
    async def send(message):
        pass
    await app(scope, receive, send)
    assert await libmalti.aflush(30)
with libmalti.testing.capture() as records:
    libmalti.record("GET", "/captured", 200, 1)
    assert len(records) == 1
asyncio.run(main())
def start(status, headers):
    return lambda data: None
def wsgi(environ, start):
    start("200 OK", [])
    return (part for part in (b"a", b"b"))
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/wsgi"}
body = libmalti.wsgi.MaltiMiddleware(wsgi)(environ, start)
list(body)
body.close()
thread = threading.Thread(target=libmalti.record, args=("GET", "/thread", 200, 1))
thread.start()
thread.join()
libmalti.stats()
assert libmalti.shutdown(30)
libmalti.init()
importlib.reload(libmalti)
libmalti.record("GET", "/again", 200, 1)
del body
gc.collect()
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = [record["endpoint"] for record in receiver.records()]
    assert found == ["/asgi", "/wsgi", "/thread", "/again"]


def test_daemons_record_until_the_very_end(receiver: Receiver) -> None:
    """What they were told is recorded arrives, as does what other threads record, for those are
    waited for. The rest is refused.
    """
    done = strict(
        """
import atexit, itertools, sys, threading
import libmalti
recorded = {}
begun = threading.Barrier(5)
def endless(name):
    for number in itertools.count():
        if not libmalti.record("GET", "/", 200, 1, f"{name}-{number}"):
            break
        recorded[name] = number + 1
        if number == 100:
            begun.wait()
        if number > 100:
            pause.wait(0.0005)
pause = threading.Event()
def told():
    for thread in threads:
        # All have been refused by now, and ended.
        thread.join()
    print(*sorted(recorded.items()), libmalti.stats()["recorded"])
atexit.register(told)
libmalti.init()
threads = [threading.Thread(target=endless, args=(f"d{n}",), daemon=True) for n in range(4)]
for thread in threads:
    thread.start()
begun.wait()
threading.Thread(target=lambda: libmalti.record("GET", "/", 200, 1, "waited for")).start()
""",
        receiver.url,
        MALTI_BUFFER_SIZE="1000000",
        MALTI_BATCH_INTERVAL="60",
        MALTI_BATCH_SIZE="10000",
        MALTI_SHUTDOWN_TIMEOUT="30",
    )
    assert (done.returncode, done.stderr) == (0, "")
    consumers = [record["consumer"] for record in receiver.records()]
    assert len(set(consumers)) == len(consumers) == int(done.stdout.split()[-1])
    assert "waited for" in consumers
    for name in ("d0", "d1", "d2", "d3"):
        count = sum(consumer.startswith(f"{name}-") for consumer in consumers)
        assert f"('{name}', {count})" in done.stdout


def test_daemons_that_never_stop() -> None:
    """They go on while the interpreter takes itself apart."""
    done = script(
        """
import threading
import libmalti
def endless():
    while True:
        libmalti.record("GET", "/", 200, 1)
        libmalti.flush(0)
        libmalti.stats()
for _ in range(4):
    threading.Thread(target=endless, daemon=True).start()
libmalti.record("GET", "/", 200, 1)
""",
        "file:/dev/null",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.version_info < (3, 13), reason="ctypes refuses to be loaded there")
@pytest.mark.parametrize("first", ["", "libmalti.record('GET', '/', 200, 1, 'outer')"])
def test_isolated_interpreters(receiver: Receiver, first: str) -> None:
    """Each with a GIL of its own. The client is the process's, and each has its share in it."""
    done = script(
        f"""
import _interpreters, threading
import libmalti
{first}
CODE = '''
import libmalti
for number in range(50):
    assert libmalti.record("GET", "/", 200, 1, f"NAME-{{number}}")
assert libmalti.stats()["recorded"] > 0
'''
def work(name):
    inner = _interpreters.create("isolated")
    failed = _interpreters.exec(inner, CODE.replace("NAME", name))
    assert failed is None, failed
    _interpreters.destroy(inner)
threads = [threading.Thread(target=work, args=(f"inner{{n}}",)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libmalti.record("GET", "/", 200, 1, "at exit")
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"inner{n}-{number}" for n in range(4) for number in range(50)]
    names += ["at exit"] + (["outer"] if first else [])
    assert sorted(record["consumer"] for record in receiver.records()) == sorted(names)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("order", ["before", "after"])
def test_hooks_around_fork_may_record(receiver: Receiver, order: str) -> None:
    """Whether they were registered before the library's own or after it."""
    # logging has hooks too: first imported in the middle of a fork, it runs their second half.
    hooks = """
def hook(where):
    return lambda: libmalti_record(where)
def libmalti_record(where):
    import libmalti
    assert libmalti.record("GET", "/", 200, 1, where)
os.register_at_fork(
    before=hook("before fork"),
    after_in_parent=hook("parent's hook"),
    after_in_child=hook("child's hook"),
)
"""
    done = script(
        "import logging, os, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
        + (hooks + "import libmalti\n" if order == "before" else "import libmalti\n" + hooks)
        + """
child = os.fork()
libmalti.record("GET", "/", 200, 1, "parent" if child else "child")
if child == 0:
    assert libmalti.flush(30) and libmalti.stats()["recorded"] == 2
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert libmalti.stats()["recorded"] == 3
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = ["before fork", "child", "child's hook", "parent", "parent's hook"]
    assert sorted(record["consumer"] for record in receiver.records()) == names


@pytest.mark.skipif(sys.platform != "linux", reason="open files are in /proc")
@pytest.mark.parametrize("durable", [True, False])
def test_another_program_in_its_place(receiver: Receiver, tmp_path: Path, durable: bool) -> None:
    """execv runs no exit hooks: what is not durable has to be flushed. The next program inherits no
    file and no blocked signal.
    """
    second = """
import os, signal, sys
assert not signal.pthread_sigmask(signal.SIG_BLOCK, []), "blocked"
assert sorted(os.listdir("/proc/self/fd")) == eval(sys.argv[1]), os.listdir("/proc/self/fd")
import libmalti
libmalti.record("GET", "/", 200, 1, "second")
"""
    first = f"""
import os, sys
before = sorted(os.listdir("/proc/self/fd"))
import libmalti
libmalti.record("GET", "/", 200, 1, "first-0")
assert libmalti.flush(30)
libmalti.record("GET", "/", 200, 1, "first-1")
{"" if durable else "assert libmalti.shutdown(30)"}
os.execv(sys.executable, [sys.executable, "-c", {second!r}, repr(before)])
"""
    settings = {"MALTI_SPOOL_DIR": str(tmp_path)} if durable else {}
    done = script(first, receiver.url, **PATIENT, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["first-0", "first-1", "second"]
    assert sorted(record["consumer"] for record in receiver.records()) == names
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are in /proc")
def test_threads_have_names(receiver: Receiver) -> None:
    """The library's; Python knows none of them."""
    done = script(
        """
import threading
from pathlib import Path
import libmalti
libmalti.record("GET", "/", 200, 1)
libmalti.flush(30)
names = {file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")}
main = Path("/proc/self/comm").read_text().strip()
assert names == {main, "malti-sender"}, names
assert threading.enumerate() == [threading.main_thread()]
""",
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
