"""Compares what arrived with what was sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import datetime
from typing import Any

from mix import Record, Request

FIELDS = [field.name for field in fields(Record)]
# The receiver's clock and ours are one; microseconds are cut.
CLOCK_S = 0.001
IN_SUM = (
    *("sent", "buffered", "in_flight", "spooled", "dropped_overflow", "dropped_rejected"),
    *("dropped_shutdown", "dropped_expired"),
)


def records(
    requests: list[Request], arrived: list[dict[str, Any]], span: tuple[float, float]
) -> list[str]:
    """Problems, as lines. `span` is the time of the run, in seconds since 1970."""
    wanted = Counter(request.record for request in requests if request.record)
    got = Counter(Record(**{name: row[name] for name in FIELDS}) for row in arrived)
    missing, extra = list((wanted - got).elements()), list((got - wanted).elements())
    problems = []
    for record in missing:
        twin = next((other for other in extra if other.context == record.context), None)
        if twin:
            extra.remove(twin)
            problems.append(f"differs     {record}\n  is          {twin}")
        else:
            problems.append(f"missing     {record}")
    problems += [f"unexpected  {record}" for record in extra]

    floors = {request.record: request.at_least_ms for request in requests if request.record}
    started, over = span[0] - CLOCK_S, span[1] + CLOCK_S
    for row in arrived:
        record = Record(**{name: row[name] for name in FIELDS})
        at_least = floors.get(record, 0) - 1  # a timer may count from the last whole millisecond
        if not at_least <= row["response_time"] <= (over - started) * 1000:
            problems.append(f"took {row['response_time']} ms, which can't be: {record}")
        created = datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")).timestamp()
        if not started <= created <= over:
            problems.append(f"created at {row['created_at']}, outside the run: {record}")
    return problems


def ledgers(requests: list[Request], ledgers: dict[str, dict[str, int]]) -> list[str]:
    problems = []
    for service, ledger in ledgers.items():
        mine = [request for request in requests if request.service == service]
        recorded = sum(request.record is not None for request in mine)
        expected = {
            "recorded": recorded,
            "sent": recorded,
            "filtered": len(mine) - recorded,
            "invalid": 0,
        }
        problems += [
            f"ledger      {service}: {name} is {ledger[name]}, expected {value}"
            for name, value in expected.items()
            if ledger[name] != value
        ]
        if ledger["recorded"] + ledger["adopted"] != sum(ledger[name] for name in IN_SUM):
            problems.append(f"ledger      {service}: does not add up: {ledger}")
    return problems
