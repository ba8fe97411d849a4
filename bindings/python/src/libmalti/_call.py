"""Makes the library's builtins, which cost a tenth of the same calls through ctypes.

The library is not compiled against any Python. It is given the addresses of the functions of the
C API that it needs, and gives the definitions of builtins back; `src/hosts/python.rs` has the other
half.
"""

from __future__ import annotations

import ctypes
import os
import sys
from types import ModuleType
from typing import Any, Callable

from . import _context, _library

# The order is the library's.
_FUNCTIONS = (
    "PyUnicode_AsUTF8AndSize",
    "PyLong_AsUnsignedLongLong",
    "PyBool_FromLong",
    "PyErr_Occurred",
    "PyErr_Clear",
    "PyErr_BadInternalCall",
    "PyErr_ExceptionMatches",
    "PyList_Size",
    "PyList_GetItem",
    "PyBytes_AsStringAndSize",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyTuple_GetItem",
    "PyTuple_Size",
    "PyDict_New",
    "PyObject_SetItem",
    "PyDict_Size",
    "PyDict_GetItemWithError",
    "PyObject_GetAttrString",
    "PyObject_Call",
    "PyObject_VectorcallDict",
    "PyVectorcall_Call",
    "PyObject_Type",
    "PyObject_GC_UnTrack",
    "PyObject_GC_Del",
    "PyType_FromSpec",
    "PyType_GenericAlloc",
    "PyContextVar_Set",
    "PyContextVar_Reset",
    "PyLong_FromUnsignedLongLong",
    "Py_IncRef",
    "Py_DecRef",
)
_OBJECTS = (None, True, False, KeyboardInterrupt, SystemExit)
# `PyMethodDef` is four words.
_DEFINITION_BYTES = 4 * ctypes.sizeof(ctypes.c_void_p)

Call = Callable[..., Any]


def builtins(module: ModuleType, signature: str, doc: str) -> list[Call] | None:
    """`record`, `record_request` and `record_scope`. What is not simple each leaves to
    `NAME_slowly` of `module`, and log lines to its `pull_log`. None: not on this interpreter, or
    the environment's `MALTI_PYTHON_CALL` is `pydll`.
    """
    return _made(0, 3, module, f"record{signature}\n--\n\n{doc}", _probe)


def exchange_builtins(module: ModuleType, names: tuple[str, ...]) -> list[Call] | None:
    """`begin` and `over` in the same way, which besides leave to `module` what a request that has
    ended is to `settle` by, and all of one that has to `take_over`. `names` are what they look up.
    None also without the GIL: they keep what other threads may change.
    """
    if not has_gil():
        return None
    made = _made(5, 1, None, "", lambda exchange_type: None)
    if made is None:
        return None
    bound = names, module, made[0](), _context.current
    return _made(3, 2, bound, "", _probe_exchange)


def has_gil() -> bool:
    """What can be without it now may get it later, but not the other way round."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _made(
    first: int, count: int, bound: Any, doc: str, probe: Callable[..., None]
) -> list[Call] | None:
    wanted = os.environ.get("MALTI_PYTHON_CALL")
    if wanted == "pydll":
        return None
    try:
        if sys.implementation.name != "cpython":
            raise NotImplementedError(f"not on {sys.implementation.name}")
        python = ctypes.pythonapi
        definition = _definitions(python, doc) + first * _DEFINITION_BYTES
        definitions = [definition + index * _DEFINITION_BYTES for index in range(count)]
        # A prototype of our own: to set `restype` on `pythonapi` would change it for everybody.
        prototype = ctypes.PYFUNCTYPE(
            ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object
        )
        make: Callable[..., Call] = prototype(("PyCFunction_NewEx", python))
        trial = (bound[0], _Probe(), *bound[2:]) if isinstance(bound, tuple) else _Probe()
        probe(*(make(each, trial, __package__) for each in definitions))
        return [make(each, bound, __package__) for each in definitions]
    except Exception as error:
        if wanted == "builtin":
            raise ImportError(f"MALTI_PYTHON_CALL=builtin: {error}") from error
        return None


def _definitions(python: ctypes.PyDLL, doc: str) -> int:
    """The address of the first one."""
    addresses = [ctypes.cast(getattr(python, name), ctypes.c_void_p).value for name in _FUNCTIONS]
    # All are immortal, and on CPython an object's id is its address.
    addresses += map(id, _OBJECTS)
    addresses.append(object.__basicsize__)
    table = (ctypes.c_void_p * len(addresses))(*addresses)
    first: int | None = _library.python_methods(table, len(table), doc.encode())
    if not first:
        raise NotImplementedError(f"{_library.path} asks for other functions")
    return first


class _Probe(ModuleType):
    """Gives back what the builtins hand on."""

    def __init__(self) -> None:
        super().__init__("probe")

    @staticmethod
    def record_slowly(*arguments: object, **named: object) -> object:
        return arguments, named

    record_request_slowly = record_scope_slowly = begin_slowly = over_slowly = record_slowly
    send = over = receive = record_slowly

    def take_over(self, *known: object) -> _Probe:
        return self


def _probe(record: Any, record_request: Any, record_scope: Any) -> None:
    """Calls them with wrong types, which they must notice, and hand on as they came."""
    rest = (None, None, [(b"host", b"a")], b"", None)
    for wrong in (("GET", "/", 200.0, 0), ("GET", None, 200, 0), ("GET", "/", 200, -1)):
        for call, arguments in (
            (record, wrong),
            (record_request, (*wrong, *rest)),
            (record_scope, (("method",) * 13, {"method": "GET"}, None, *wrong[1:])),
        ):
            if call(*arguments) != (arguments, {}) or call(*wrong, x=1) != (wrong, {"x": 1}):
                raise _unknown()


def _probe_exchange(begin: Any, over: Any) -> None:
    """The same, and one answer that starts before something else takes over."""
    for call, arguments in ((begin, (None,) * 4), (begin, (1,)), (over, (None, 1))):
        if call(*arguments) != (arguments, {}) or call(1, x=1) != ((1,), {"x": 1}):
            raise _unknown()
    sent: list[object] = []
    start = {"type": "http.response.start", "status": 200}
    scope: dict[str, object] = {"path": "/"}
    request = begin(None, scope, None, sent.append)
    if request(start) is not None or sent != [start] or len(scope) != 3:
        raise _unknown()
    if [request("odd"), request(start), request(), over(request, 1)] != [
        (("odd",), {}),
        ((start,), {}),
        ((), {}),
        ((1,), {}),
    ]:
        raise _unknown()


def _unknown() -> NotImplementedError:
    return NotImplementedError("the builtins do not know this interpreter's objects")
