"""Settings in code."""

from __future__ import annotations

import os

from .. import _log
from .._client import client


def configure_malti(
    service_name: str | None = None,
    api_key: str | None = None,
    malti_url: str | None = None,
    node: str | None = None,
    batch_size: int | None = None,
    batch_interval: float | None = None,
    clean_mode: bool | None = None,
    use_ip_as_consumer: bool | None = None,
    ip_anonymize: bool | None = None,
) -> None:
    """Sets `MALTI_*` variables of this process, which the client reads when it starts.

    Call it before the first request; later it has no effect, and a warning says so once. None, and
    an empty text or number, leave a variable as it is. `batch_interval` is in seconds.
    """
    if client.started:
        _log.once("late", "configure_malti() has no effect once the client has started")
        return
    values = {
        "SERVICE_NAME": service_name or None,
        "API_KEY": api_key or None,
        "URL": malti_url or None,
        "NODE": node or None,
        "BATCH_SIZE": batch_size or None,
        "BATCH_INTERVAL": batch_interval or None,
        "CLEAN_MODE": clean_mode,
        "USE_IP_AS_CONSUMER": use_ip_as_consumer,
        "IP_ANONYMIZE": ip_anonymize,
    }
    for name, value in values.items():
        if value is not None:
            os.environ[f"MALTI_{name}"] = str(value)
