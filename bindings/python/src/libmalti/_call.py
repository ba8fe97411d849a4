"""Makes the library's builtin `record`, which costs a tenth of the same call through ctypes.

The library is not compiled against any Python. It is given the addresses of the functions of the
stable ABI that it needs, and gives the definition of a builtin back; `src/hosts/python.rs` has the
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
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyTuple_GetItem",
    "PyTuple_Size",
    "PyDict_New",
    "PyDict_SetItem",
    "PyObject_GetAttrString",
    "PyObject_Call",
    "Py_IncRef",
    "Py_DecRef",
)
_OBJECTS = (None, KeyboardInterrupt, SystemExit)


def builtin_record(module: ModuleType, signature: str, doc: str) -> Callable[..., bool] | None:
    """The builtin, which leaves what is not simple to the `record_slowly` of `module` and log lines
    to its `pull_log`. None: not on this interpreter, or the environment's `MALTI_PYTHON_CALL` is
    `pydll`.
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


def _made(module: ModuleType, doc: str) -> Callable[..., bool]:
    if sys.implementation.name != "cpython":
        raise NotImplementedError(f"not on {sys.implementation.name}")
    python = ctypes.pythonapi
    addresses = [ctypes.cast(getattr(python, name), ctypes.c_void_p).value for name in _FUNCTIONS]
    # All three are immortal, and on CPython an object's id is its address.
    addresses += map(id, _OBJECTS)
    table = (ctypes.c_void_p * len(addresses))(*addresses)
    definition = _library.python_record(table, len(table), doc.encode())
    if not definition:
        raise NotImplementedError(f"{_library.path} asks for other functions")
    # A prototype of our own: to set `restype` on `pythonapi` would change it for everybody.
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object
    )
    make: Callable[..., Any] = prototype(("PyCFunction_NewEx", python))
    _probe(make, definition)
    record: Callable[..., bool] = make(definition, module, __package__)
    return record


def _probe(make: Callable[..., Any], definition: int) -> None:
    """Calls it with wrong types, which it must notice, and hand on as they came."""
    module = ModuleType("probe")
    module.record_slowly = lambda *arguments, **named: (arguments, named)  # type: ignore[attr-defined]
    probe = make(definition, module, __package__)
    for wrong in (("GET", "/", 200.0, 0), ("GET", None, 200, 0), ("GET", "/", 200, -1)):
        if probe(*wrong, context="x") != (wrong, {"context": "x"}) or probe(*wrong) != (wrong, {}):
            raise NotImplementedError("the builtin does not know this interpreter's objects")
