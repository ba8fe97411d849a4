"""gevent: many requests on one thread, which a wait of ours must not hold up. gunicorn's worker for
it is in test_forks.py.
"""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults import PATIENT, Deaf
from harness import App, Receiver, script

pytest.importorskip("gevent")

CONCURRENT = 50


def test_sigterm_delivers_and_consumers_do_not_mix(receiver: Receiver) -> None:
    app = App("green", receiver.url, **PATIENT)
    with ThreadPoolExecutor(CONCURRENT) as pool:
        names = [f"c{number}" for number in range(CONCURRENT)]
        found = pool.map(lambda name: app.request("GET", f"/later/{name}")[1].decode(), names)
        assert list(found) == names
    assert receiver.records() == []
    assert app.stop() == -signal.SIGTERM
    records = receiver.records()
    assert sorted((r["endpoint"], r["consumer"]) for r in records) == sorted(
        (f"/later/{name}", name) for name in names
    )


def test_a_flush_holds_no_other_greenlet_up() -> None:
    deaf = Deaf(hangs=True)
    app = App("green", deaf.url, **PATIENT, MALTI_SHUTDOWN_TIMEOUT="0.1")
    app.request("GET", "/later/a")
    delivered, turns = app.request("GET", "/flush/")[1].decode().split()
    assert delivered == "False"
    # Each takes a little more than a millisecond; held up there was none.
    assert int(turns) > 20
    app.stop()
    deaf.close()


PATCHED = "from gevent import monkey\nmonkey.patch_all()\n"

PLACES = """
import threading
import gevent, libmalti
def work(name):
    assert libmalti.record("GET", "/", 200, 1, name)
    assert libmalti.flush(30)
    done.append(name)
done = []
greenlets = [gevent.spawn(work, f"greenlet-{number}") for number in range(5)]
work("main")
gevent.joinall(greenlets, raise_error=True)
thread = threading.Thread(target=work, args=("thread",))
thread.start()
thread.join()
gevent.get_hub().threadpool.apply(work, ("pool",))
# The hub is no greenlet that could wait.
gevent.get_hub().loop.run_callback(work, "hub")
gevent.sleep(0)
while len(done) < 9:
    gevent.sleep(0.001)
libmalti.record("GET", "/", 200, 1, "at exit")
"""


@pytest.mark.parametrize("patched", ["", PATCHED], ids=["as it is", "patched"])
def test_from_everywhere(receiver: Receiver, patched: str) -> None:
    done = script(patched + PLACES, receiver.url, **PATIENT)
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"greenlet-{number}" for number in range(5)]
    names += ["main", "thread", "pool", "hub", "at exit"]
    assert sorted(record["consumer"] for record in receiver.records()) == sorted(names)


def test_a_library_that_was_imported_before_the_patch(receiver: Receiver) -> None:
    done = script("import libmalti\n" + PATCHED + PLACES, receiver.url, **PATIENT)
    assert done.returncode == 0, done.stderr
    assert len(receiver.records()) == 10


def test_children_of_multiprocessing(receiver: Receiver) -> None:
    """Whose threads are greenlets."""
    done = script(
        PATCHED
        + """
import multiprocessing, threading, time, warnings
import libmalti
warnings.simplefilter("ignore", DeprecationWarning)
def late(name):
    time.sleep(0.1)
    libmalti.record("GET", "/", 200, 1, f"late-{name}")
def work(name):
    libmalti.record("GET", "/", 200, 1, name)
    threading.Thread(target=late, args=(name,)).start()
libmalti.record("GET", "/", 200, 1, "parent")
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(f"child-{number}",)) for number in range(2)]
for child in children:
    child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
""",
        receiver.url,
        **PATIENT,
    )
    assert done.returncode == 0, done.stderr
    names = [f"{late}child-{number}" for late in ("", "late-") for number in range(2)]
    assert sorted(r["consumer"] for r in receiver.records()) == sorted([*names, "parent"])
