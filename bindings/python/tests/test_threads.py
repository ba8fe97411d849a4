"""Row 12 of the fault matrix: many threads that record, flush and look, while the client comes and
goes.
"""

from faults import account, run
from harness import Receiver

LIVES = 1000


def test_a_crowd(receiver: Receiver) -> None:
    counts, *names = run("crowd", receiver.url, str(LIVES), MALTI_BATCH_SIZE="50")
    recorded, flushed, looked = map(int, counts.split())
    assert min(flushed, looked) > 0
    # Most calls come between two lives or into one; some of each there must have been.
    assert LIVES < len(names) < recorded
    account(f"12 64 threads, {LIVES} lives, {recorded} calls", names, receiver.records())
