"""The table of a bench: each figure beside its baseline and its target."""

from dataclasses import dataclass


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
