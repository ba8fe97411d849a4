"""Measures whether a record costs more as threads, endpoints, consumers or waiting records grow."""

import sys

from part import Part
from programs import compiled, measure, nobody, receiver
from table import NS, amount, point, spread

METHOD = """
CPU time of the recording thread for a call of malti_record from C, beside F in the same round (F
has one thread throughout); the bars are the 95 % interval of the median. Endpoints and consumers:
as many different ones in turn, among 100,000 calls that read as much memory whatever the number.
Threads: they share 200,000 calls, in a buffer that takes them all. Waiting records: calls that
follow so many that nobody takes, in seven processes, in a buffer that is large enough. The ratio is
that of the most to the fewest, pair by pair.
"""
ROUNDS = 7
KINDS = {
    "threads": ("threads that record", (1, 10, 100, 1000)),
    "endpoints": ("different endpoints", (1, 10, 100, 1000, 10_000, 100_000)),
    "consumers": ("different consumers", (1, 10, 100, 1000, 10_000, 100_000)),
    "fill": ("records that wait", (1000, 10_000, 100_000, 1_000_000)),
}
ROOM = {"buffer_size": 2_000_000, "buffer_bytes": 1_000_000_000}


def found(kind: str) -> dict[str, list[float]]:
    program = compiled("growth")
    if kind != "fill":
        with receiver() as url:
            return measure(program, kind, url=url, **ROOM)
    with nobody() as url:
        rounds = [measure(program, kind, url=url, **ROOM) for _ in range(ROUNDS)]
    return {name: [one[name][0] for one in rounds] for name in rounds[0]}


def grow(part: Part, kind: str) -> None:
    text, counts = KINDS[kind]
    figures = found(kind)
    by = {n: (figures[f"ours_{n}"], figures[f"F_{n}"]) for n in counts}
    part.head(text, "malti_record", "F", "in units of F")
    for n, (ours, reference) in by.items():
        ratio = spread([a / b for a, b in zip(ours, reference)])
        part.cells(f"{n:,}", amount(ours, NS), amount(reference, NS), ratio)
    fewest, most = by[counts[0]][0], by[counts[-1]][0]
    growth = spread([last / first for first, last in zip(fewest, most)])
    part.cells("most to fewest", "", "", growth)
    lines = {
        name: [[n, *point(by[n][i])] for n in counts]
        for i, name in enumerate(("malti_record", "F"))
    }
    title = f"CPU time of a record, by {text}"
    part.plot(f"growth-{kind}", title, lines=lines, x=text, y="ns of CPU time", log="x")


def main() -> int:
    with Part("growth", METHOD, 22, 10, 12, 12, 12, 12) as part:
        for kind in KINDS:
            with part.trying():
                grow(part, kind)
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
