"""Loads the native library, and gives its C functions Python types.

Two doors lead to the same image. `held` keeps the GIL: right for calls of nanoseconds, where
dropping and taking it again would cost more than the call. `freed` drops it: right for calls that
may wait. PyPy has the second door alone.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Callable

from . import _place

ABI_MAJOR = 1
ABI_MINOR = 0

OK = 0
DISABLED = 2
ALREADY_RUNNING = 3
NOT_RUNNING = 4
ERR_INVALID_ARGUMENT = -1
ERR_UNKNOWN_KEY = -2
ERR_INVALID_VALUE = -3
ERR_ALREADY_INITIALIZED = -5
ERR_TIMED_OUT = -6

# What a record keeps of a field; longer results are cut there anyway.
FIELD_BYTES = 2000


def _load() -> tuple[ctypes.CDLL, ctypes.CDLL, str]:
    path = _place.find()
    try:
        held: ctypes.CDLL = getattr(ctypes, "PyDLL", ctypes.CDLL)(path)
        doors = held, ctypes.CDLL(path), path
    except OSError as error:
        raise ImportError(f"libmalti's native library could not be loaded: {error}") from error
    try:
        abi = doors[0].malti_abi_version
    except AttributeError:
        raise ImportError(f"{path} is not libmalti") from None
    abi.restype = ctypes.c_uint32
    abi.argtypes = []
    check_abi(abi(), path)
    return doors


def check_abi(version: int, path: object) -> None:
    """Raises ImportError unless the major number is ours, and the minor at least ours."""
    major, minor = divmod(version, 1 << 16)
    if major != ABI_MAJOR or minor < ABI_MINOR:
        raise ImportError(
            f"{path} has the binary interface {major}.{minor}; "
            f"this package needs {ABI_MAJOR}.{ABI_MINOR} or later of {ABI_MAJOR}"
        )


_held, _freed, path = _load()

_text = ctypes.c_char_p
_size = ctypes.c_size_t
_int = ctypes.c_int32
_pair = [_text, _size]


def _declare(
    library: ctypes.CDLL, name: str, restype: object, *argtypes: object
) -> Callable[..., int]:
    function = getattr(library, name)
    function.restype = restype
    function.argtypes = argtypes
    return function  # type: ignore[no-any-return]


def _cffi_record_n() -> Callable[..., int]:
    """The one call that every request makes. PyPy compiles it to machine code if it comes through
    cffi, which is part of PyPy; through ctypes it would take 70 times as long.
    """
    from cffi import FFI  # type: ignore[import-untyped, unused-ignore]

    ffi = FFI()
    ffi.cdef(
        "int32_t malti_record_n(const char *, size_t, const char *, size_t, int32_t, uint64_t,"
        " const char *, size_t, const char *, size_t, int64_t);"
    )
    function: Callable[..., int] = getattr(ffi.dlopen(path), "malti_record_n")  # noqa: B009
    return function


config_new = _declare(_held, "malti_config_new", ctypes.c_void_p)
config_set = _declare(_held, "malti_config_set", _int, ctypes.c_void_p, _text, _text, *_pair)
config_get = _declare(_held, "malti_config_get", _int, ctypes.c_void_p, _text, *_pair)
config_free = _declare(_held, "malti_config_free", None, ctypes.c_void_p)
record_n = (
    _cffi_record_n()
    if sys.implementation.name == "pypy"
    else _declare(
        _held,
        "malti_record_n",
        _int,
        *(_pair + _pair),
        _int,
        ctypes.c_uint64,
        *(_pair + _pair),
        ctypes.c_int64,
    )
)
python_methods = _declare(
    _held, "malti_python_methods", ctypes.c_void_p, ctypes.c_void_p, _size, _text
)
resolve_consumer = _declare(
    _held, "malti_resolve_consumer", _int, ctypes.c_void_p, *(_pair * 4), *_pair
)
resolve_context = _declare(_held, "malti_resolve_context", _int, ctypes.c_void_p, *_pair, *_pair)
normalize_route = _declare(_held, "malti_normalize_route", _int, _text, *_pair, *_pair)
stats_json = _declare(_held, "malti_stats_json", _int, *_pair)
log_next = _declare(_held, "malti_log_next", _int, ctypes.POINTER(_int), *_pair)

init = _declare(_freed, "malti_init", _int, ctypes.c_void_p, *_pair)
flush_begin = _declare(_held, "malti_flush_begin", _int, ctypes.POINTER(ctypes.c_uint64))
flush_wait = _declare(_freed, "malti_flush_wait", _int, ctypes.c_uint64, ctypes.c_uint32)
shutdown = _declare(_freed, "malti_shutdown", _int, ctypes.c_uint32)

abi_version = _declare(_held, "malti_abi_version", ctypes.c_uint32)
_held.malti_version.restype = _text
__version__: str = _held.malti_version().decode()


class _Scratch(threading.local):
    """A buffer for results, one a thread, so that a request allocates none."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(FIELD_BYTES + 1)


_scratch = _Scratch()


def field(function: Callable[..., int], *arguments: object) -> str | None:
    """The text that a C function writes, cut to what a record keeps. None: an error, or no text."""
    buffer = _scratch.buffer
    length = function(*arguments, buffer, FIELD_BYTES + 1)
    if length <= 0:
        return None
    return ctypes.string_at(buffer, min(length, FIELD_BYTES)).decode("utf-8", "replace")


def whole(function: Callable[..., int], *arguments: object, room: int = 1024) -> str | None:
    """The same for text of any length. None: an error."""
    while True:
        buffer = ctypes.create_string_buffer(room)
        length = function(*arguments, buffer, room)
        if length < 0:
            return None
        if length < room:
            return buffer.raw[:length].decode("utf-8", "replace")
        room = length + 1


def encode(text: str) -> bytes:
    """UTF-8, whatever the string holds: a lone surrogate becomes U+FFFD, a pair its character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
