"""Measures how fast records leave, what that costs, and how an outage ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from part import COLUMNS, Part
from programs import (
    BENCHES,
    RUN_SECONDS,
    Failure,
    compiled,
    control,
    environment,
    measure,
    receiver,
    run,
    values,
)
from table import US, Row, amount, claim

METHOD = """
A process in C makes 200,000 records as fast as it can, with room for all of them, and they are
delivered to the receiver on the same machine meanwhile: records per second by the clock, from the
first call to the last confirmation; CPU time of the library's own threads for each. The outage:
1,000,000 records are made while the server answers 503, then it takes everything; the time is that
of the flush which starts there, memory is what the process has grown by since before. Beside
malti-telemetry 1.0.4 both run in Python, in processes of their own: CPU time of the whole process
from the first call until all is confirmed, less that of the calls.
"""
REFERENCE = "malti-telemetry 1.0.4"
RECORDS = 200_000
OUTAGE = 1_000_000
ROOM = {"buffer_size": 2_000_000, "buffer_bytes": 1_000_000_000}
PROCESSES = 5


def rate(url: str) -> Iterator[Row]:
    found = measure(compiled("sender"), "rate", str(RECORDS), url=url, **ROOM)
    rates = [RECORDS / seconds for seconds in found["seconds"]]
    yield Row("records per second", amount(rates, (1e3, "thousand")), "", "")
    yield Row("the sender's CPU per record", amount(found["cpu"], US), "", "")


def outage(url: str) -> Iterator[Row]:
    control(url, [{"status": 503, "times": 2**32}])
    process = subprocess.Popen(
        [str(compiled("sender")), "outage", str(OUTAGE)],
        env=environment(url, **ROOM),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None and process.stdin is not None
            waiting = values(process.stdout.readline())
            control(url, [])
            rest, _ = process.communicate("\n", timeout=RUN_SECONDS)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise Failure("the million records did not arrive after the outage")
    found = {**waiting, **values(rest)}
    bytes_each = found["waiting"][0] / OUTAGE
    (seconds,) = found["seconds"]
    yield Row(
        "1,000,000 records wait", amount(found["waiting"], MIB), f"{bytes_each:.0f} B each", ""
    )
    yield Row("the outage is over", f"{seconds:.2f} s", f"{OUTAGE / seconds:,.0f} a second", "")
    yield Row("memory at the peak", amount(found["peak"], MIB), "", "")
    yield Row("CPU per record after that", amount(found["cpu"], US), "", "")


MIB = (2.0**20, "MiB")


def beside(url: str) -> Iterator[Row]:
    worker = BENCHES / "python" / "worker.py"

    def sending(who: str) -> list[float]:
        command = [sys.executable, str(worker), "sending", who]
        found: list[float] = json.loads(run(command, url))["cpu"]
        return found

    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(PROCESSES):
        ours += sending("ours")
        theirs += sending("reference")
    yield claim("sender CPU per record", US, ours, REFERENCE, theirs, 1 / 75)


def main() -> int:
    # What would come first on the path is not to be measured.
    os.environ.pop("PYTHONPATH", None)
    with Part("sender", METHOD, 28, 14, 34, 26, 8) as part, receiver() as url:
        part.head(*COLUMNS)
        part.each(partial(one, url) for one in (rate, outage, beside))
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
