"""Start, end and figures of the client, as an application asks for them."""

from __future__ import annotations

from typing import Any

from ._client import Setting, client


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
