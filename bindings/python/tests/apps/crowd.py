"""Sixty-four threads record, flush and look, while the client is started and shut down again and
again: `crowd.py LIVES`. Prints how many calls of each kind there were, and the names of what was
recorded.
"""

import sys
import threading
import time
from collections import Counter

import libmalti

THREADS = 64

over = threading.Event()


def unaccounted(figures: dict[str, int]) -> int:
    right = ["sent", "buffered", "in_flight", "spooled"]
    right += [key for key in figures if key.startswith("dropped_")]
    return figures["recorded"] + figures["adopted"] - sum(figures[key] for key in right)


def member(number: int, names: list[str], calls: "Counter[str]") -> None:
    while not over.is_set():
        name = f"crowd{number}-{calls['record']}"
        if libmalti.record("GET", "/crowd", 200, 1, name):
            names.append(name)
        calls["record"] += 1
        if number % 8 == 0:
            libmalti.flush(0.001)
            calls["flush"] += 1
        elif number % 8 == 1:
            figures = libmalti.stats()
            assert unaccounted(figures) == 0, figures
            calls["stats"] += 1
        time.sleep(0.005)


def life(number: int) -> list[str]:
    """One start and one end, each fifth by two who call at the same moment."""
    assert libmalti.init()
    name = f"life-{number}"
    assert libmalti.record("GET", "/life", 200, 1, name)
    results: list[bool] = []
    if number % 5 == 0:
        together = threading.Barrier(2)

        def stop() -> None:
            together.wait()
            results.append(libmalti.shutdown(30))

        second = threading.Thread(target=stop)
        second.start()
        stop()
        second.join()
    else:
        results.append(libmalti.shutdown(30))
    assert all(results), results
    # After the end nothing is recorded, and nothing starts the client again.
    assert not libmalti.record("GET", "/nobody", 200, 1, "nobody")
    figures = libmalti.stats()
    assert unaccounted(figures) == 0, figures
    assert figures["state"] == "stopped", figures
    assert figures["sent"] == figures["recorded"] > 0, figures
    assert libmalti.flush(0)
    return [name]


def main(lives: int) -> None:
    sys.setswitchinterval(0.0005)
    recorded = life(0)
    faults: list[BaseException] = []
    threading.excepthook = lambda fault: faults.append(fault.exc_value or SystemExit())
    lists: list[list[str]] = [[] for _ in range(THREADS)]
    calls: list[Counter[str]] = [Counter() for _ in range(THREADS)]
    threads = [
        threading.Thread(target=member, args=(number, lists[number], calls[number]))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for number in range(1, lives):
        recorded += life(number)
    # The last life ends at exit, with everybody still recording up to then.
    assert libmalti.init()
    time.sleep(0.05)
    over.set()
    for thread in threads:
        thread.join()
    assert not faults, faults
    total = sum(calls, Counter())
    print(total["record"], total["flush"], total["stats"])
    print(*recorded, *(name for names in lists for name in names), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
