"""One line of a bench: a figure beside its baseline and its target. And the statistics of all."""

import random
from dataclasses import dataclass
from statistics import median, quantiles

from programs import Failure

NS, US, MS, SECONDS, BYTES = (1, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s"), (1, "B")


@dataclass
class Row:
    """One line of the table; `judged` is the number that the target bounds."""

    what: str
    figure: str
    baseline: str
    ratio: str
    target: str = ""
    judged: float = 0
    bound: float = 0

    @property
    def met(self) -> bool:
        return self.judged <= self.bound


def interval(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median, by resampling."""
    draws = random.Random(1)
    medians = [median(draws.choices(values, k=len(values))) for _ in range(2000)]
    cuts = quantiles(medians, n=40)
    return cuts[0], cuts[-1]


def point(values: list[float]) -> list[float]:
    """What a plot has of them: the median and its interval."""
    return [median(values), *interval(values)]


def spread(values: list[float]) -> str:
    """The median and its interval, of numbers that have no unit."""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, high = interval(values)
    return f"{median(values):.3g} ({low:.3g} to {high:.3g})"


def amount(values: list[float], unit: tuple[float, str]) -> str:
    scale, name = unit
    figure = median(values) / scale
    return f"{figure:,.0f} {name}" if abs(figure) >= 1000 else f"{figure:.3g} {name}"


def claim(
    what: str,
    unit: tuple[float, str],
    ours: list[float],
    named: str,
    theirs: list[float],
    most: float | None = None,
) -> Row:
    """Ours is at most so much of theirs, if that is to be: in the median of the pairs' ratios and
    in the whole of its interval."""
    if min(median(ours), median(theirs)) <= 0:
        raise Failure(f"{what}: {median(ours):.0f} beside {median(theirs):.0f} cannot be")
    ratios = [our / their for our, their in zip(ours, theirs)]
    cells = (what, amount(ours, unit), f"{named} {amount(theirs, unit)}", spread(ratios))
    if most is None:
        return Row(*cells)
    target = f"≤ 1/{1 / most:.0f}" if most < 1 else "< 1" if most == 1 else f"≤ {most:g}"
    return Row(*cells, target, interval(ratios)[1] if len(ratios) > 1 else ratios[0], most)
