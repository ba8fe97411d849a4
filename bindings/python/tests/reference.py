"""The public names of malti-telemetry: modules, classes, functions and their parameters, found by
looking at whatever package of that name can be imported.

`reference.json` is what it finds in 1.0.4. `PYTHONPATH=WHEEL python reference.py > reference.json`
makes it anew, where httpx and starlette are installed.
"""

import importlib
import inspect
import json
import sys
from types import ModuleType
from typing import Any

MODULES = ("malti_telemetry", *(f"malti_telemetry.{n}" for n in ("core", "middleware", "utils")))


def public(names: Any) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))


_MARKS = {"VAR_POSITIONAL": "*", "KEYWORD_ONLY": "*, ", "VAR_KEYWORD": "**"}


def signature(function: Any) -> list[str]:
    """The parameters as one would write them, without types; "async" is before a coroutine's."""
    found = ["async"] if inspect.iscoroutinefunction(function) else []
    for name, each in inspect.signature(function).parameters.items():
        default = "" if each.default is each.empty else f"={each.default!r}"
        found.append(_MARKS.get(each.kind.name, "") + name + default)
    return found


def describe_class(kind: type) -> dict[str, Any]:
    """Its own parameters are those of "()". Members that are no functions have none."""
    members: dict[str, Any] = {"()": signature(kind)}
    for name in public(dir(kind)):
        member = inspect.getattr_static(kind, name)
        members[name] = signature(member) if inspect.isfunction(member) else None
    return members


def describe_module(module: ModuleType) -> dict[str, Any]:
    """Its classes and functions, also those that it imports from its neighbours."""
    found: dict[str, Any] = {}
    for name in public({*vars(module), *getattr(module, "__all__", ())}):
        value = getattr(module, name)
        home = getattr(value, "__module__", "")
        if not str(home).startswith(("malti_telemetry", "libmalti")):
            continue
        if inspect.isclass(value):
            found[name] = describe_class(value)
        elif callable(value):
            found[name] = signature(value)
    return found


def describe() -> dict[str, Any]:
    modules = {name: importlib.import_module(name) for name in MODULES}
    found: dict[str, Any] = {name: describe_module(module) for name, module in modules.items()}
    core = modules["malti_telemetry.core"]
    sender = core.BatchSender()
    found["instances"] = {
        "BatchSender": public(dir(sender)),
        "TelemetryCollector": public(dir(core.TelemetryCollector(sender))),
        "TelemetrySystem": public(dir(core.TelemetrySystem())),
    }
    found["statistics"] = sorted(core.get_telemetry_system().get_stats())
    return found


if __name__ == "__main__":
    json.dump(describe(), sys.stdout, indent=1)
    print()
