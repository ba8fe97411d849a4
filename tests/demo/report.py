"""What the demo prints."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

from mix import Request

SHOWN_PROBLEMS = 20


class Report:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")

    def _say(self, text: str = "") -> None:
        # A terminal that can't show a character gets a stand-in, not an exception.
        encoding = self._out.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=self._out, flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _bold(self, text: str) -> str:
        return self._paint("1", text)

    def _dim(self, text: str) -> str:
        return self._paint("2", text)

    def left_out(self, name: str, why: str) -> None:
        self._say(f"{name} is left out: {why}")

    def heading(self, count: int, servers: int, seconds: float) -> None:
        self._say(
            f"\n{count} requests to {servers} servers in {seconds:.1f} s, and what arrived of them"
        )

    def service(
        self, name: str, title: str, summary: dict[str, Any], ledger: dict[str, int]
    ) -> None:
        self._say(f"\n{self._bold(name)}  {self._dim(title)}\n")
        rows: list[tuple[str, ...]] = [("endpoint", "method", "count", "5xx", "p50", "p95", "p99")]
        for row in summary["endpoints"]:
            if row["service"] == name:
                rate = f"{row['error_rate']:.0%}" if row["errors"] else "-"
                times = (f"{row[p]} ms" for p in ("p50", "p95", "p99"))
                rows.append((row["endpoint"], row["method"], str(row["count"]), rate, *times))
        self._table(rows, left=2)
        self._say()
        callers: list[tuple[str, ...]] = [("consumer", "count")]
        callers += [
            (row["consumer"], str(row["count"]))
            for row in sorted(summary["consumers"], key=lambda row: -row["count"])
            if row["service"] == name
        ]
        self._table(callers, left=1)
        dropped = sum(figure for key, figure in ledger.items() if key.startswith("dropped_"))
        self._say(
            f"\n  {self._dim('ledger')}  {ledger['recorded']} recorded = {ledger['sent']} sent"
            f" + {ledger['buffered'] + ledger['in_flight']} waiting + {dropped} dropped;"
            f" {ledger['filtered']} left out; {ledger['batches']} batches,"
            f" {ledger['bytes_sent'] / 1000:.1f} kB, {ledger['retries']} retries"
        )

    def arrivals(
        self, titles: dict[str, str], requests: list[Request], arrived: list[dict[str, Any]]
    ) -> None:
        """How many records each server had to deliver, and how many came."""
        expected = Counter(request.service for request in requests if request.record)
        came = Counter(row["service"] for row in arrived)
        rows = [("service", "server", "expected", "arrived")]
        rows += [
            (name, title, str(expected[name]), str(came[name])) for name, title in titles.items()
        ]
        self._say()
        self._table(rows, left=2)

    def _table(self, rows: Sequence[tuple[str, ...]], left: int) -> None:
        """The first row is the head; the first `left` columns are text, the others figures."""
        widths = [max(map(len, column)) for column in zip(*rows)]
        for number, row in enumerate(rows):
            cells = (
                cell.ljust(width) if index < left else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths))
            )
            line = "  " + "  ".join(cells).rstrip()
            self._say(self._dim(line) if number == 0 else line)

    def verdict(
        self, problems: list[str], requests: list[Request], arrived: list[dict[str, Any]]
    ) -> None:
        expected = sum(request.record is not None for request in requests)
        self._say()
        if not problems:
            self._say(
                f"{self._paint('1;32', 'ok')}  {len(arrived)} of {expected} records arrived, each"
                f" with the fields it must have; {len(requests) - expected} were left out, as they"
                " must be"
            )
            return
        self._say(
            f"{self._paint('1;31', 'FAILED')}  {len(arrived)} records arrived, {expected} were"
            " expected"
        )
        for problem in problems[:SHOWN_PROBLEMS]:
            self._say(f"  {problem}")
        if len(problems) > SHOWN_PROBLEMS:
            self._say(f"  and {len(problems) - SHOWN_PROBLEMS} more")

    def page(self, url: str) -> None:
        self._say(f"\nThe receiver's page is at {self._bold(url + '/')} until Ctrl-C")
