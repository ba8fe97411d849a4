"""Children of multiprocessing: `children.py METHOD KIND`. Parent and children record; prints the
names of what was recorded by them, when all is over.
"""

import multiprocessing
import multiprocessing.util
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext

CHILDREN = 4
EACH = 25


def record(name: str) -> list[str]:
    import libmalti

    names = [f"{name}-{number}" for number in range(EACH)]
    return [one for one in names if libmalti.record("GET", "/", 200, 1, one)]


def fail(name: str) -> None:
    record(name)
    raise LookupError(name)


def leave(name: str) -> None:
    record(name)
    sys.exit(5)


def outlive(name: str) -> None:
    """Records in a thread, where it can after multiprocessing has run its finalizers."""

    def late() -> None:
        # Before the first of them this is true. From Python 3.13 on they come after the threads.
        patience = time.monotonic() + 0.3
        while not multiprocessing.util.is_exiting() and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(0.1)
        record(name)

    threading.Thread(target=late).start()


def pooled(name: str) -> None:
    """A pool of threads that is left as it is: its threads end later than the finalizers."""
    from concurrent.futures import ThreadPoolExecutor

    ThreadPoolExecutor(1).submit(record, name).result()


def nested(name: str) -> None:
    context = multiprocessing.get_context("fork")
    child = context.Process(target=record, args=(name,))
    child.start()
    child.join()
    assert child.exitcode == 0


TARGETS = {
    "process": (record, 0),
    "first in the child": (record, 0),
    "preloaded": (record, 0),
    "exception": (fail, 1),
    "sys.exit": (leave, 5),
    "thread that goes on": (outlive, 0),
    "thread pool": (pooled, 0),
    "child of a child": (nested, 0),
}


def processes(context: BaseContext, kind: str, names: list[str]) -> None:
    target, status = TARGETS[kind]
    children = [context.Process(target=target, args=(name,)) for name in names]  # type: ignore[attr-defined]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == status, child.exitcode


def main(method: str, kind: str) -> None:
    context = multiprocessing.get_context(method)
    names = [f"child{number}" for number in range(CHILDREN)]
    recorded: list[str] = []
    if kind == "preloaded":
        context.set_forkserver_preload(["libmalti"])
    if kind != "first in the child":
        recorded += record("before")
    if kind == "Pool":
        with context.Pool(2) as pool:
            pool.map(record, names, chunksize=1)
            pool.close()
            pool.join()
    elif kind == "ProcessPoolExecutor":
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(record, names))
    else:
        processes(context, kind, names)
    recorded += record("after")
    recorded += [f"{name}-{number}" for name in names for number in range(EACH)]
    print(*recorded, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
