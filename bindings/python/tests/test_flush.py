"""Deliveries that the application asks for: from an event loop, at SIGTERM, in workers."""

import multiprocessing
import signal
import socket
import sys
import textwrap
from pathlib import Path

import pytest
from harness import App, Container, Process, Receiver, environment, script

PATIENT = {"MALTI_BATCH_SIZE": "500", "MALTI_BATCH_INTERVAL": "60"}

LOOPS = {
    "asyncio": "import asyncio\nrun, sleep = asyncio.run, asyncio.sleep",
    "uvloop": "import asyncio, uvloop\nuvloop.install()\nrun, sleep = asyncio.run, asyncio.sleep",
    "trio": "import trio\nrun = lambda coroutine: trio.run(lambda: coroutine)\nsleep = trio.sleep",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_flush_in_an_event_loop(receiver: Receiver, loop: str) -> None:
    pytest.importorskip(loop)
    done = script(
        "import warnings; warnings.simplefilter('ignore')\n"
        + LOOPS[loop]
        + textwrap.dedent(
            """
            import libmalti
            async def main():
                assert await libmalti.aflush() is True      # no client runs
                libmalti.record("GET", "/a", 200, 1)
                assert await libmalti.aflush(30) is True
                assert libmalti.stats()["sent"] == 1
                assert await libmalti.aflush(0) is True     # nothing to do
            run(main())
            """
        ),
        receiver.url,
        **PATIENT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(receiver.records()) == 1


def test_a_flush_blocks_neither_the_loop_nor_a_thread() -> None:
    """The server takes the request and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        done = script(
            """
import asyncio, threading, time
import libmalti
async def main():
    libmalti.record("GET", "/a", 200, 1)
    turns = 0
    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)
    other = asyncio.create_task(turn())
    threads = threading.active_count()
    started = time.monotonic()
    flush = asyncio.create_task(libmalti.aflush(0.5))
    while not flush.done():
        await asyncio.sleep(0)
        assert threading.active_count() == threads
    assert await flush is False
    assert 0.5 <= time.monotonic() - started
    # The loop went on all the time, each turn takes some microseconds.
    assert turns > 100, turns

    flush = asyncio.create_task(libmalti.aflush(1000))
    await asyncio.sleep(0.05)
    flush.cancel()
    assert isinstance((await asyncio.gather(flush, return_exceptions=True))[0],
                      asyncio.CancelledError)
    other.cancel()
    assert libmalti.stats()["recorded"] == 1
asyncio.run(main())
""",
            f"http://127.0.0.1:{silent.getsockname()[1]}",
            **PATIENT,
            MALTI_SHUTDOWN_TIMEOUT="0.1",
        )
    assert done.returncode == 0, done.stderr


def dying(receiver: Receiver, how: str) -> tuple[int, int]:
    """The exit status of an application that got SIGTERM, and how many records arrived."""
    app = App("dying", receiver.url, TEST_SIGTERM=how, **PATIENT)
    for n in range(3):
        app.request("GET", f"/{n}")
    assert receiver.records() == []
    status = app.stop()
    # waitress tells of a queue where its thread was slow to start.
    assert [line for line in app.errors if "Task queue depth" not in line] == []
    return status, len(receiver.records())


def test_sigterm_with_and_without(receiver: Receiver) -> None:
    assert dying(receiver, "") == (-signal.SIGTERM, 0)
    assert dying(receiver, "flush") == (-signal.SIGTERM, 3)


def test_sigterm_calls_the_handler_that_was_there(receiver: Receiver) -> None:
    assert dying(receiver, "handler flush") == (7, 3)


def test_sigterm_that_was_ignored_stays_so(receiver: Receiver) -> None:
    app = App("dying", receiver.url, TEST_SIGTERM="ignore flush", **PATIENT)
    app.request("GET", "/a")
    app.child.send_signal(signal.SIGTERM)
    receiver.wait_for(1)
    assert app.request("GET", "/b")[0] == 200
    app.kill()


def test_sigterm_while_the_server_is_down_says_what_is_lost() -> None:
    gone = Receiver()
    gone.kill()
    app = App("dying", gone.url, TEST_SIGTERM="flush", MALTI_SHUTDOWN_TIMEOUT="0.3", **PATIENT)
    app.request("GET", "/a")
    assert app.stop() == -signal.SIGTERM
    (line,) = app.errors
    assert "recorded 1 =" in line and "shutdown 1" in line


def test_sigterm_needs_the_main_thread_and_a_handler_of_python() -> None:
    done = script(
        """
import signal, threading
import libmalti
def refused(*arguments):
    try:
        libmalti.flush_on_sigterm()
    except (ValueError, RuntimeError) as error:
        found.append(type(error))
found = []
thread = threading.Thread(target=refused)
thread.start()
thread.join()
signal.getsignal = lambda number: None
refused()
assert found == [ValueError, RuntimeError], found
""",
        "http://127.0.0.1:9",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Container.there(), reason="unshare makes no process 1 here")
def test_sigterm_ends_process_1_too(receiver: Receiver) -> None:
    code = "\n".join(
        [
            "import signal, libmalti",
            "libmalti.flush_on_sigterm()",
            "libmalti.record('GET', '/', 200, 1)",
            "print('ready', flush=True)",
            "while True:",
            "    signal.pause()",
        ]
    )
    process = Container([sys.executable, "-c", code], environment(receiver.url, **PATIENT))
    try:
        assert process.line() == "ready"
        assert process.stop() == 128 + signal.SIGTERM
        assert len(receiver.records()) == 1
    finally:
        process.kill()


WORKER = """
import multiprocessing, sys, time, warnings
import libmalti
warnings.simplefilter("ignore", DeprecationWarning)
def work(ready):
    libmalti.flush_on_sigterm()
    libmalti.record("GET", "/worker", 200, 1)
    ready.set()
    time.sleep(1000)
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ready = context.Event()
    worker = context.Process(target=work, args=(ready,))
    worker.start()
    ready.wait()
    worker.terminate()
    worker.join()
    assert worker.exitcode == -15, worker.exitcode
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_that_is_terminated(receiver: Receiver, method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WORKER, "utf-8")
    command = [sys.executable, str(program), method]
    process = Process(command, environment(receiver.url, **PATIENT))
    assert (process.wait(), process.errors) == (0, [])
    assert [record["endpoint"] for record in receiver.records()] == ["/worker"]
