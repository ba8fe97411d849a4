"""For tests of applications: the records of a block of code, without a server.

    from libmalti.testing import capture

    def test_users_are_counted_by_pattern():
        with capture() as records:
            TestClient(app).get("/users/7")
        assert [record.endpoint for record in records] == ["/users/{user_id}"]

A test process needs no settings: without an API key nothing is recorded outside such a block.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, overload

from ._client import Setting, client
from ._flush import flush

__all__ = ["Record", "Records", "capture"]

_PATIENCE_S = 30.0


class Record(NamedTuple):
    """What would have been sent. `response_time` is in milliseconds, `created_at` in UTC."""

    service: str
    node: str | None
    method: str
    endpoint: str
    status: int
    response_time: int
    consumer: str
    context: str | None
    created_at: datetime


class Records(Sequence[Record]):
    """The records of a block, in the order of each thread: inside it those so far, after it all of
    them. Any thread.
    """

    def __init__(self, file: _File) -> None:
        self._file = file
        self._start = len(file.records())
        self._kept: list[Record] | None = None

    def _all(self) -> list[Record]:
        return self._file.records()[self._start :] if self._kept is None else self._kept

    def keep(self) -> None:
        """Ends the block, for `capture`."""
        self._kept = self._all()

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Records) else other)

    def __repr__(self) -> str:
        return repr(self._all())


class _File:
    """The file that the client writes to in place of a server, while it is not closed."""

    def __init__(self, settings: dict[str, Setting]) -> None:
        self.settings = settings
        self._records: list[Record] = []
        self._read = 0
        self._lock = threading.Lock()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="malti-"))
            self._path = Path(folder, "records.ndjson")
            stack.enter_context(client.instead({**settings, "url": f"file:{self._path}"}))
            self.close = stack.pop_all().close

    def records(self) -> list[Record]:
        """All that was recorded before the call."""
        if not flush(_PATIENCE_S):
            raise RuntimeError(f"records can't be written: {client.stats()['last_error']}")
        with self._lock, contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # of another thread's batch, which is being written
                self._read += len(line)
                self._records.append(_record(line))
        return self._records.copy()


def _record(line: bytes) -> Record:
    fields = json.loads(line)
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    return Record(**{name: fields.get(name) for name in Record._fields})


_file: _File | None = None
_open = 0
_lock = threading.Lock()


@contextlib.contextmanager
def capture(**settings: Setting) -> Generator[Records, None, None]:
    """Starts the client for a block, with a file in place of the server, and gives what the block
    records: what would be sent, so that clean mode leaves 401 and 404 out as ever. `settings` are
    those of `libmalti.init`, over what the application and `MALTI_*` say.

    The client is the process's: records of all threads, and of children that the block forks, are
    among them. Blocks nest and overlap; each has the records of its own time, and their settings
    are those of the first. What a block leaves open is stopped with the last of them.

    RuntimeError: the client runs already, or a block with other settings does. ValueError and
    TypeError as for `libmalti.init`.
    """
    file = _enter(settings)
    try:
        records = Records(file)
        try:
            yield records
        finally:
            records.keep()
    finally:
        _leave()


def _enter(settings: dict[str, Setting]) -> _File:
    global _file, _open
    with _lock:
        if _file is None:
            try:
                _file = _File({**_defaults(), **settings})
            except RuntimeError as error:
                raise RuntimeError(
                    f"{error}: capture() needs a process whose client is not running. Run tests "
                    "without MALTI_API_KEY, or capture before the application starts it"
                ) from error
        elif not settings.items() <= _file.settings.items():
            raise RuntimeError("a capture() with other settings is open")
        _open += 1
        return _file


def _defaults() -> dict[str, Setting]:
    return {
        "enabled": True,
        # Named, the default is no reason for a warning.
        "service_name": client.setting("service_name"),
        # A durable buffer would bring along what other processes left there.
        "spool_dir": "",
    }


def _leave() -> None:
    global _file, _open
    with _lock:
        _open -= 1
        if _open == 0 and _file is not None:
            file, _file = _file, None
            file.close()
