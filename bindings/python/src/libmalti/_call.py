"""Makes the library's builtins, which cost a tenth of the same calls through ctypes.

The library is not compiled against any Python. It is given the addresses of the functions of the
stable ABI that it needs, and gives the definitions of builtins back; `src/hosts/python.rs` has the
other half.
"""

from __future__ import annotations

import ctypes
import os
import sys
from types import ModuleType
from typing import Any, Callable

from . import _library

# The order is the library's.
_FUNCTIONS = (
    "PyUnicode_AsUTF8AndSize",
    "PyLong_AsUnsignedLongLong",
    "PyBool_FromLong",
    "PyErr_Occurred",
    "PyErr_Clear",
    "PyErr_ExceptionMatches",
    "PyList_Size",
    "PyList_GetItem",
    "PyBytes_AsStringAndSize",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyTuple_GetItem",
    "PyTuple_Size",
    "PyDict_New",
    "PyDict_SetItem",
    "PyDict_GetItemWithError",
    "PyObject_GetAttrString",
    "PyObject_Call",
    "Py_IncRef",
    "Py_DecRef",
)
_OBJECTS = (None, KeyboardInterrupt, SystemExit)
# `PyMethodDef` is four words.
_DEFINITION_BYTES = 4 * ctypes.sizeof(ctypes.c_void_p)

Call = Callable[..., bool]


def builtins(module: ModuleType, signature: str, doc: str) -> tuple[Call, Call, Call] | None:
    """`record`, `record_request` and `record_scope`. What is not simple each leaves to
    `NAME_slowly` of `module`, and log lines to its `pull_log`. None: not on this interpreter, or
    the environment's `MALTI_PYTHON_CALL` is `pydll`.
    """
    wanted = os.environ.get("MALTI_PYTHON_CALL")
    if wanted == "pydll":
        return None
    try:
        return _made(module, f"record{signature}\n--\n\n{doc}")
    except Exception as error:
        if wanted == "builtin":
            raise ImportError(f"MALTI_PYTHON_CALL=builtin: {error}") from error
        return None


def _made(module: ModuleType, doc: str) -> tuple[Call, Call, Call]:
    if sys.implementation.name != "cpython":
        raise NotImplementedError(f"not on {sys.implementation.name}")
    python = ctypes.pythonapi
    addresses = [ctypes.cast(getattr(python, name), ctypes.c_void_p).value for name in _FUNCTIONS]
    # All three are immortal, and on CPython an object's id is its address.
    addresses += map(id, _OBJECTS)
    table = (ctypes.c_void_p * len(addresses))(*addresses)
    first = _library.python_methods(table, len(table), doc.encode())
    if not first:
        raise NotImplementedError(f"{_library.path} asks for other functions")
    # A prototype of our own: to set `restype` on `pythonapi` would change it for everybody.
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object
    )
    make: Callable[..., Any] = prototype(("PyCFunction_NewEx", python))
    definitions = [first + index * _DEFINITION_BYTES for index in range(3)]
    _probe(*(make(definition, _Probe(), __package__) for definition in definitions))
    record, record_request, record_scope = (make(d, module, __package__) for d in definitions)
    return record, record_request, record_scope


class _Probe(ModuleType):
    """Gives back what the builtins hand on."""

    def __init__(self) -> None:
        super().__init__("probe")

    @staticmethod
    def record_slowly(*arguments: object, **named: object) -> object:
        return arguments, named

    record_request_slowly = record_scope_slowly = record_slowly


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
                raise NotImplementedError("the builtins do not know this interpreter's objects")
