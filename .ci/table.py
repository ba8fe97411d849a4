"""The table of a bench: each figure beside its baseline and its target."""

import random
from dataclasses import dataclass
from statistics import median, quantiles

from programs import Failure

NS, US, MS, BYTES = (1, "ns"), (1e3, "µs"), (1e6, "ms"), (1, "B")


@dataclass
class Row:
    """One line of the table; `judged` is the number that the target bounds."""

    what: str
    figure: str
    baseline: str
    ratio: str
    target: str
    judged: float
    bound: float

    @property
    def met(self) -> bool:
        return self.judged <= self.bound


def interval(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median, by resampling."""
    draws = random.Random(1)
    medians = [median(draws.choices(values, k=len(values))) for _ in range(2000)]
    cuts = quantiles(medians, n=40)
    return cuts[0], cuts[-1]


def claim(
    what: str,
    unit: tuple[float, str],
    ours: list[float],
    named: str,
    theirs: list[float],
    most: float,
) -> Row:
    """Ours is at most so much of theirs."""
    if min(median(ours), median(theirs)) <= 0:
        raise Failure(f"{what}: {median(ours):.0f} beside {median(theirs):.0f} cannot be")
    ratios = [our / their for our, their in zip(ours, theirs)]
    low, high = interval(ratios)
    ratio = f"{median(ratios):.3f}"
    scale, name = unit
    return Row(
        what,
        f"{median(ours) / scale:.3g} {name}",
        f"{named} {median(theirs) / scale:.3g} {name}",
        f"{ratio} ({low:.3f} to {high:.3f})" if len(ratios) > 1 else ratio,
        f"≤ 1/{1 / most:.0f}" if most < 1 else "< 1" if most == 1 else f"≤ {most:g}",
        high,
        most,
    )


class Table:
    """Prints each line as soon as it is known, so the widths of all but the last cell are given."""

    def __init__(self, *widths: int) -> None:
        self.widths = widths
        self.rows: list[Row] = []

    def cells(self, *cells: str) -> None:
        padded = [cell.ljust(width) for cell, width in zip(cells, self.widths)]
        print("  ".join([*padded, *cells[len(self.widths) :]]).rstrip(), flush=True)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        cells = (row.what, row.figure, row.baseline, row.ratio, row.target)
        self.cells(*cells, "ok" if row.met else "MISS")

    @property
    def met(self) -> int:
        return sum(row.met for row in self.rows)
