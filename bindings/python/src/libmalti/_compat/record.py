"""One record as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass
class TelemetryRecord:
    """One request. `response_time` is in whole milliseconds; `created_at` is when the response
    ended (None: now; without a zone: local time).
    """

    service: str
    method: str
    endpoint: str
    status: int
    response_time: int
    consumer: str
    node: str | None = None
    context: str | None = None
    created_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, the time as ISO 8601."""
        fields = asdict(self)
        fields["created_at"] = (self.created_at or datetime.now(timezone.utc)).isoformat()
        return fields
