"""Forks, again and again, while threads record and batches are under way: `storm.py CHILDREN`.
Prints the names of what was recorded.
"""

import itertools
import os
import sys
import threading
import time
import warnings

import libmalti

EACH = 5
THREADS = 4
AT_ONCE = 4

over = threading.Event()


def busy(number: int, names: list[str]) -> None:
    for count in itertools.count():
        if over.is_set():
            return
        name = f"busy{number}-{count}"
        assert libmalti.record("GET", "/busy", 200, 1, name)
        names.append(name)
        time.sleep(0.001)


def child(number: int) -> None:
    for count in range(EACH):
        assert libmalti.record("GET", "/child", 200, 1, f"child{number}-{count}")
    # Each second child ends as a program does, the others as a worker of a server may.
    if number % 2:
        sys.exit(0)
    delivered = libmalti.shutdown(30)
    figures = libmalti.stats()
    os._exit(not (delivered and figures["sent"] == figures["recorded"] == EACH))


def main(children: int) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    # A fork during the very first start is another matter than one during recording.
    lists: list[list[str]] = [[] for _ in range(THREADS)]
    threads = [threading.Thread(target=busy, args=pair) for pair in enumerate(lists)]
    for thread in threads:
        thread.start()
    running: list[int] = []
    for number in range(children):
        process = os.fork()
        if process == 0:
            child(number)
        running.append(process)
        if len(running) == AT_ONCE:
            assert os.waitpid(running.pop(0), 0)[1] == 0
    for process in running:
        assert os.waitpid(process, 0)[1] == 0
    over.set()
    for thread in threads:
        thread.join()
    recorded = [name for names in lists for name in names]
    assert libmalti.stats()["recorded"] == len(recorded)
    recorded += [f"child{number}-{count}" for number in range(children) for count in range(EACH)]
    print(*recorded, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
