"""A flush for event loops.

Named as async twins of blocking functions are elsewhere (`aclose`, Django's `asave`).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Awaitable
from typing import Callable

from . import _library, _log
from ._client import milliseconds

_FIRST_LOOK_S = 0.001
_LAST_LOOK_S = 0.05


async def aflush(timeout: float = 5.0) -> bool:
    """As `flush`, for coroutines: waits until everything recorded so far is delivered, at most
    `timeout` seconds, and blocks neither the event loop nor a thread.

    True: delivered, or counted as dropped, or no client runs. False: time is up or the server
    refuses; nothing is lost by that, nor by cancelling it. On asyncio (also with uvloop) and trio.
    """
    sleep = _sleep()
    until = time.monotonic() + milliseconds(timeout) / 1000
    ticket = ctypes.c_uint64()
    pause = _FIRST_LOOK_S
    status = _library.flush_begin(ticket)
    try:
        while status == _library.OK:
            status = _library.flush_wait(ticket.value, 0)
            left = until - time.monotonic()
            if status != _library.ERR_TIMED_OUT or left <= 0:
                break
            await sleep(min(pause, left))
            pause = min(pause * 2, _LAST_LOOK_S)
            status = _library.OK
    finally:
        _log.pull()
    return status >= 0


def _sleep() -> Callable[[float], Awaitable[object]]:
    """The one of the event loop that runs here."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.sleep  # type: ignore[no-any-return]
    import asyncio

    return asyncio.sleep
