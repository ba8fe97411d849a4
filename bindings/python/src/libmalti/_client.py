"""The life of the process-wide client: its settings, its owners, its end."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple, Union

from . import _children, _forks, _library, _log
from ._flush import milliseconds

Setting = Union[str, int, float, bool, os.PathLike[str], Iterable[str], None]

_ERROR_BYTES = 1024


class Rules(NamedTuple):
    """The settings that decide how little of a request the core has to see."""

    headers: frozenset[bytes] = frozenset()
    every_header: bool = False
    context_headers: frozenset[bytes] = frozenset()


def _as_text(value: Setting) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # Of bytes a list would be made of numbers.
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return ",".join(map(str, value))
    raise TypeError(f"a setting is text, a number, a bool, a path or a list, not {value!r}")


class Config:
    """Settings of the C API, freed with the object. None: those of the client that runs."""

    def __init__(self, settings: Mapping[str, Setting] | None) -> None:
        self.pointer: int | None = None
        if settings is None:
            return
        self.pointer = _library.config_new()
        if not self.pointer:
            raise MemoryError("malti_config_new")
        self._set("binding", f"python/{_library.__version__}")
        for key, value in settings.items():
            if value is not None:
                self._set(key, _as_text(value))

    def _set(self, key: str, value: str) -> None:
        if "\0" in value:
            raise ValueError(f"{key}: {value!r} has a NUL in it")
        message = ctypes.create_string_buffer(_ERROR_BYTES)
        status = _library.config_set(
            self.pointer,
            _library.encode(key),
            _library.encode(value),
            message,
            _ERROR_BYTES,
        )
        if status != _library.OK:
            text = message.value.decode("utf-8", "replace") or f"status {status}"
            raise (TypeError if status == _library.ERR_UNKNOWN_KEY else ValueError)(text)

    def get(self, key: str) -> str:
        return _library.whole(_library.config_get, self.pointer, key.encode()) or ""

    def words(self, key: str) -> frozenset[bytes]:
        """A comma-separated list of names that are compared without case."""
        return frozenset(
            word.strip().lower().encode() for word in self.get(key).split(",") if word.strip()
        )

    def rules(self) -> Rules:
        return Rules(
            headers=self.words("consumer_headers"),
            every_header=self.get("use_ip_as_consumer") == "true",
            context_headers=self.words("context_headers"),
        )

    def __del__(self) -> None:
        if self.pointer:
            _library.config_free(self.pointer)


class Client:
    """The one client of the process, as this binding sees it.

    Each owner that was taken is given back once: by `shutdown`, by the end of an ASGI lifespan, or
    at exit. The core counts the same way, also across languages and after a fork.
    """

    def __init__(self) -> None:
        #: Whether `start` or `init` has been done; requests look at these two first.
        self.started = False
        self.recording = False
        self.rules = Rules()
        #: Calls that named a value of the wrong type, which the core never saw.
        self.refused = 0
        self._settings: dict[str, Setting] = {}
        self._config: Config | None = None
        self._owners = 0
        self._hooked = False
        self._next_pull = 0
        self._lock = threading.RLock()
        self._ending = _children.Ending(self.end)

    @contextlib.contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """The lock, which does not nest, and no line is logged before it is given back. A fork
        waits, for its child is to find the client begun or not begun.
        """
        try:
            with _forks.wait(), self._lock:
                yield
        finally:
            _log.pull()

    def prepare(self, settings: Mapping[str, Setting]) -> None:
        """Settings for the start that is to come, over those of the environment."""
        with self._locked():
            if not self.started:
                self._settings.update(settings)
            elif any(self._settings.get(key) != value for key, value in settings.items()):
                _log.note("late", "settings that come after the client's start have no effect")

    def start(self) -> None:
        """Starts the client, if nobody has, by the environment and what was prepared. Never raises:
        a bad setting is logged, and nothing is recorded.
        """
        with self._locked():
            self._start()

    def _start(self) -> None:
        if self.started:
            return
        try:
            self._init(self._settings)
        except RuntimeError as error:
            # Another part of the process, in C perhaps, came first. Its client serves us too.
            _log.note("start", f"the client that runs is used as it is: {error}")
            self._config = Config(None)
            self.rules = self._config.rules()
            self.started = self.recording = True
        except Exception as error:
            self.started = True
            _log.note("start", f"nothing is recorded: {error}")

    def begun(self) -> bool:
        """Whether requests are recorded, after a start if there was none."""
        if not self.started:
            self.start()
        return self.recording

    def init(self, settings: Mapping[str, Setting]) -> bool:
        with self._locked():
            try:
                self._init({**self._settings, **settings})
            except RuntimeError as error:
                raise RuntimeError(f"{error}; libmalti.shutdown() comes first") from None
            return self.recording

    def acquire(self) -> bool:
        """One more owner of the client, which is started if need be. Never raises. True: there is
        one to give back.
        """
        with self._locked():
            before = self._owners
            if self._config is None or not self.started:
                self._start()
            elif self.recording:
                with contextlib.suppress(RuntimeError):
                    self._take(self._config)
            return self._owners > before

    def _init(self, settings: Mapping[str, Setting]) -> None:
        config = Config(settings)
        _log.fetch()
        self._take(config)
        self._config, self._settings = config, dict(settings)
        self.rules = config.rules()
        if not self._hooked:
            self._hooked = True
            atexit.register(self.end)

    def _take(self, config: Config) -> None:
        message = ctypes.create_string_buffer(_ERROR_BYTES)
        status = _library.init(config.pointer, message, _ERROR_BYTES)
        if status in (_library.OK, _library.ALREADY_RUNNING):
            self._owners += 1
            self.recording = True
            self._ending.follow()
        elif status != _library.DISABLED:
            text = message.value.decode("utf-8", "replace") or f"status {status}"
            raise (ValueError if status == _library.ERR_INVALID_VALUE else RuntimeError)(text)
        self.started = True

    def release(self, timeout: float | None = None, *, for_good: bool = False) -> bool:
        """Gives one owner back; the last one stops the client. Then the next request starts it
        anew, unless it was stopped for good.
        """
        with self._lock:
            if self._owners == 0:
                return True
            self._owners -= 1
            if timeout is None:
                timeout = self._exit_timeout()
        _log.pull()
        status = _library.shutdown(milliseconds(timeout))
        _log.pull()
        with self._lock:
            if self._owners == 0:
                self.recording = False
                self.started = for_good
        return status >= 0

    @contextlib.contextmanager
    def instead(self, settings: Mapping[str, Setting]) -> Generator[None, None, None]:
        """The client with these settings over the others, for a while; then all is as it was, and
        what the block started is stopped. RuntimeError: it records already.
        """
        with self._locked():
            if self.recording:
                raise RuntimeError(f"a client is running, with the url {self.setting('url')!r}")
            before = self._settings, self._config, self.rules, self.started
            self._init({**self._settings, **settings})
        try:
            yield
        finally:
            self.end()
            with self._lock:
                self._settings, self._config, self.rules, self.started = before

    def _exit_timeout(self) -> float:
        return float((self._config and self._config.get("shutdown_timeout")) or 5.0)

    def end(self, timeout: float | None = None) -> None:
        """Gives all owners back. Time as for `release`."""
        while self._owners > 1:
            self.release(0)
        self.release(timeout, for_good=True)

    def setting(self, key: str) -> str:
        """A key's value; before the start the one that it would have."""
        with self._lock:
            return (self._config or Config(self._settings)).get(key)

    def stats(self) -> dict[str, Any]:
        import json  # what few ask for, nobody waits for at the start

        _log.pull()
        figures: dict[str, Any] = json.loads(_library.whole(_library.stats_json) or "{}")
        figures["invalid"] = figures.get("invalid", 0) + self.refused
        return figures

    def tick(self) -> None:
        """Fetches log lines, at most once a second; called by each record."""
        now = time.monotonic_ns()
        if now >= self._next_pull:
            self._next_pull = now + 1_000_000_000
            _log.pull()

    def after_fork(self) -> None:
        """The core renews itself in a child. A lock that another thread held would stay held."""
        self._lock = threading.RLock()
        self.refused = 0
        self._ending.follow()


def _the_client() -> Client:
    """The one of this interpreter and of the library that is loaded. It outlives this module: where
    that is imported anew, as in notebooks, a second one would not know the owners of the first.
    """
    image = ctypes.cast(_library.init, ctypes.c_void_p).value  # type: ignore[arg-type]
    kept = vars(_log.logger)
    key = f"client of {image:#x}"
    if key not in kept:
        kept[key] = made = Client()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=made.after_fork)
    found: Client = kept[key]
    return found


client = _the_client()
