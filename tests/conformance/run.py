"""Sends the same requests to each app of apps.toml and compares the records that arrive.

`run.py [APP …]`; without APP all of them. One line an app, and one for each thing that is wrong
with it. Status 0: all is well; 1: something is not; 2: apps.toml or the command is wrong; 77: no
app that was asked for can run here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

import catalog
import checks
import suite

# Most of an app's time is waiting.
AT_A_TIME = 2 * (os.cpu_count() or 1)
SHOWN = 30
SKIPPED = 77


def say(text: str) -> None:
    # A terminal that can't show a character gets a stand-in, not an exception.
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


async def one(app: catalog.App, limits: suite.Limits, turn: asyncio.Semaphore) -> int:
    """Runs an app and says how it went; the status."""
    async with turn:
        started = time.monotonic()
        try:
            failures = await suite.conform(app, limits)
        except catalog.NotHere as error:
            say(f"{app.name:12} skipped: {error}")
            return SKIPPED
        took = f"{time.monotonic() - started:.1f} s"
    deviations = ", ".join(app.deviations)
    note = f"{len(checks.NAMES)} checks, {took}" + (
        f", deviates: {deviations}" if deviations else ""
    )
    if not failures:
        say(f"{app.name:12} ok       {note}")
        return 0
    lines = [f"{app.name:12} FAILED   {len(failures)} wrong, {note}"]
    lines += [f"    {failure}" for failure in failures[:SHOWN]]
    if len(failures) > SHOWN:
        lines.append(f"    and {len(failures) - SHOWN} more")
    say("\n".join(lines))
    return 1


async def run(apps: list[catalog.App], limits: suite.Limits) -> int:
    turn = asyncio.Semaphore(AT_A_TIME)
    results = await asyncio.gather(*(one(app, limits, turn) for app in apps))
    if 1 in results:
        return 1
    return 0 if 0 in results else SKIPPED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parent
    parser.add_argument("--apps", type=Path, default=here / "apps.toml", help="another apps.toml")
    parser.add_argument("--list", action="store_true", help="print the names of the apps")
    limits = suite.Limits()
    for name, limit, text in (
        ("--patience", limits.patience, "how long to wait for records"),
        ("--shutdown-timeout", limits.shutdown, "the apps' setting; they may take 2 s more to end"),
    ):
        parser.add_argument(name, type=float, default=limit, metavar="SECONDS", help=text)
    parser.add_argument("app", nargs="*")
    wanted = parser.parse_args()
    try:
        known = catalog.apps(wanted.apps, checks.DEVIABLE)
        if unknown := set(wanted.app) - known.keys():
            raise catalog.Mistake(f"no such app: {', '.join(sorted(unknown))}")
        if wanted.list:
            print("\n".join(known))
            return 0
        apps = [app for name, app in known.items() if not wanted.app or name in wanted.app]
        return asyncio.run(run(apps, suite.Limits(wanted.patience, wanted.shutdown_timeout)))
    except catalog.Mistake as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
