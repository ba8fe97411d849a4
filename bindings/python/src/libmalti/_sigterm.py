"""Delivery at SIGTERM, for servers that die of it without running exit hooks."""

from __future__ import annotations

import os
import signal
from types import FrameType

from ._client import client
from ._flush import flush


def flush_on_sigterm(timeout: float | None = None) -> None:
    """Lets SIGTERM deliver what is left, within `timeout` seconds (None: the setting
    `shutdown_timeout`), before it does what it did before: the earlier handler is called, or the
    process dies of the signal as ever (process 1 of a container exits with 143). A second call
    does nothing. Children that are forked later inherit it.

    For what dies of SIGTERM without running exit hooks: waitress, wsgiref, scripts, the workers of
    a process pool. Where a server or its ASGI lifespan ends the process, nothing is gained by it;
    a server that sets its own handler later undoes it. Python runs handlers on the main thread,
    between two of its steps: that thread delivers instead of working, and if it is inside a long C
    call, it comes to it only afterwards.

    ValueError: not on the main thread. RuntimeError: SIGTERM has a handler that was not set by
    Python, could not be called afterwards, and is left alone.
    """
    earlier = signal.getsignal(signal.SIGTERM)
    if earlier is None:
        raise RuntimeError("SIGTERM has a handler that was not set by Python")
    if getattr(earlier, "__module__", None) == __name__:
        return

    def deliver(signum: int, frame: FrameType | None) -> None:
        try:
            limit = timeout
            if limit is None:
                limit = float(client.setting("shutdown_timeout"))
            flush(limit)
        finally:
            if callable(earlier):
                earlier(signum, frame)
            elif earlier == signal.SIG_DFL:
                # Counts what is lost, and says so in one line.
                client.end(0)
                if os.getpid() == 1:
                    # Of a container: the kernel lets no signal of its own kill it.
                    os._exit(128 + signum)
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)

    signal.signal(signal.SIGTERM, deliver)
