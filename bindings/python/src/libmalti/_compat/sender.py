"""What sends: the client's settings, its start and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from .._client import Setting, client
from .._flush import flush
from .buffer import ClientBuffer, TelemetryBuffer
from .recording import keep
from .statistics import get_malti_stats

if TYPE_CHECKING:
    from .record import TelemetryRecord

_V = TypeVar("_V", bound=Setting)


class _Key(Generic[_V]):
    """A setting as an attribute. It can be set until the client starts; later that has no effect,
    and a warning says so once.
    """

    def __init__(self, key: str, kind: Callable[[str], _V]) -> None:
        self._key = key
        self._kind = kind

    def __get__(self, sender: object, owner: object = None) -> _V:
        return self._kind(client.setting(self._key))

    def __set__(self, sender: object, value: _V) -> None:
        client.prepare({self._key: value})


def _is_true(text: str) -> bool:
    return text == "true"


def _or_none(text: str) -> str | None:
    return text or None


class BatchSender:
    """The client of this process. All senders are one: they share its buffer, settings and counts.

    The attributes are settings. Times are in seconds.
    """

    service_name = _Key("service_name", str)
    #: Masked; None where there is none.
    api_key = _Key("api_key", _or_none)
    malti_url = _Key("url", str)
    node = _Key("node", str)
    batch_size = _Key("batch_size", int)
    batch_interval = _Key("batch_interval", float)
    max_retries = _Key("max_retries", int)
    retry_delay = _Key("retry_delay", float)
    http_timeout = _Key("http_timeout", float)
    max_keepalive_connections = _Key("max_keepalive_connections", int)
    max_connections = _Key("max_connections", int)
    overflow_threshold_percent = _Key("overflow_threshold_percent", float)
    clean_mode = _Key("clean_mode", _is_true)
    use_ip_as_consumer = _Key("use_ip_as_consumer", _is_true)
    ip_anonymize = _Key("ip_anonymize", _is_true)

    def __init__(self) -> None:
        self.buffer: TelemetryBuffer = ClientBuffer()
        self._owner = False

    @property
    def running(self) -> bool:
        """Whether requests are recorded; False without an API key."""
        return client.recording

    @property
    def ingest_endpoint(self) -> str:
        """Where batches are posted."""
        return f"{self.malti_url.rstrip('/')}/api/v1/ingest"

    @property
    def overflow_threshold(self) -> int:
        """How many waiting records make the client send at once."""
        return int((self.buffer.maxlen or 0) * self.overflow_threshold_percent / 100)

    async def start(self) -> None:
        """Starts the client. Needed only where neither a lifespan nor a request does."""
        if not self._owner:
            self._owner = client.acquire()

    async def stop(self) -> None:
        """Delivers what is left, within `shutdown_timeout`, and gives up what `start` took. The
        client stops with the last that started it. The event loop goes on meanwhile.
        """
        from ..asgi import _off_the_loop

        if self._owner:
            self._owner = False
            await _off_the_loop(client.release)
        elif client.recording:
            await _off_the_loop(_deliver)

    def add_record(self, record: TelemetryRecord) -> None:
        """Records it, with the service and node of the settings. Never blocks, never raises."""
        keep(record)

    def has_api_key(self) -> bool:
        """Whether there is a key, without which nothing is recorded."""
        return bool(self.api_key)

    def should_ignore_status(self, status: int) -> bool:
        """Whether clean mode leaves a status out."""
        return self.clean_mode and status in (401, 404)

    def get_stats(self) -> dict[str, Any]:
        """As `get_malti_stats`."""
        return get_malti_stats()


def _deliver() -> None:
    flush(float(client.setting("shutdown_timeout")))
