"""From the arguments of malti-telemetry to a record of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _library, _log, _record
from .._client import client

if TYPE_CHECKING:
    from datetime import datetime

    from .record import TelemetryRecord


def record_ms(
    method: str,
    endpoint: str,
    status: int,
    response_time: int,
    consumer: str | None,
    context: str | None = None,
    *,
    created_at: datetime | None = None,
) -> None:
    """Records one request; `response_time` is in milliseconds, of which fractions are cut off,
    `created_at` when the response ended (None: now). Never raises: what can't be recorded is
    counted as `invalid`, and logged once.
    """
    if not client.started:
        client.start()
    if not client.recording:
        return
    client.tick()
    try:
        _record.send(
            _text(method),
            _text(endpoint),
            int(status),
            int(response_time) * 1000,
            _text(consumer),
            _text(context),
            0 if created_at is None else int(created_at.timestamp() * 1_000_000),
        )
    except Exception as error:
        client.refused += 1
        _log.once("old-record", f"not recorded: {type(error).__name__}: {error}")


def _text(value: object) -> bytes:
    return _library.encode((_record.text(value) or "")[: _library.FIELD_BYTES])


def keep(record: TelemetryRecord) -> None:
    """The same for a record as a value. Its service and node are not looked at: they are settings
    of the client.
    """
    record_ms(
        record.method,
        record.endpoint,
        record.status,
        record.response_time,
        record.consumer,
        record.context,
        created_at=record.created_at,
    )
