"""Telemetry for Malti: one record per HTTP request, delivered by a native library.

    from libmalti.asgi import MaltiMiddleware
    app.add_middleware(MaltiMiddleware)

Settings are `MALTI_*` variables, or keywords of `init()`. Importing loads the library and does
nothing else; the first record starts the thread that sends. Times are in seconds unless a name says
otherwise.
"""

from __future__ import annotations

from typing import Any

from . import _library
from ._client import Setting, client
from ._context import set_consumer, set_context, set_endpoint
from ._flush import aflush, flush
from ._record import record
from ._sigterm import flush_on_sigterm

__all__ = [
    "aflush",
    "flush",
    "flush_on_sigterm",
    "init",
    "record",
    "set_consumer",
    "set_context",
    "set_endpoint",
    "shutdown",
    "stats",
]

__version__ = _library.version


def init(**settings: Setting) -> bool:
    """Starts the client: the defaults, then `MALTI_*`, then these settings (`batch_size=500`; None
    leaves a key as it is, lists become comma-separated). Returns at once, without network or
    thread.

    True: requests are recorded. False: switched off, or no `api_key`, which is logged. If it runs
    with the same settings there is one owner more; each `init` is paired with one `shutdown`, and
    what is not given back is at exit.

    TypeError: no such key. ValueError: a value that its key does not accept. RuntimeError: it runs
    with other settings, which stay.
    """
    return client.init(settings)


def shutdown(timeout: float | None = None) -> bool:
    """Gives one owner back. The last one delivers what it can within `timeout` seconds (None: the
    setting `shutdown_timeout`) and stops the client until the next `init`.

    True: everything was delivered or had been counted. Blocks its thread (not the GIL).
    """
    return client.release(timeout, for_good=True)


def stats() -> dict[str, Any]:
    """The ledger in one exact snapshot, by the names of `malti_stats`, and `last_error`.

    recorded + adopted = sent + buffered + in_flight + spooled + dropped_overflow + dropped_rejected
    + dropped_shutdown + dropped_expired. After shutdown the last figures stay.
    """
    return client.stats()
