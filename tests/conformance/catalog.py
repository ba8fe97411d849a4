"""apps.toml: the apps, how each is started, and where its framework forces another record on it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import LIBRARY, ROOT

HERE = Path(__file__).resolve().parent
BINDING = ROOT / "bindings" / "python" / "src"
NODE_MODULES = ROOT / "bindings" / "node" / "tests" / "node_modules"
EXAMPLES = ROOT / "bindings" / "c" / "examples"


_NODE = (".cjs", ".mjs")
_STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]


class Mistake(Exception):
    """apps.toml says something that can't be."""


class NotHere(Exception):
    """An app can't run on this machine, and why."""


@dataclass(frozen=True)
class Deviation:
    """What another record than the suite's an app leaves for one check, and why."""

    because: str
    #: Fields of the record, by their names on the wire; `response_time` is [least, most] in ms.
    #: `answer` is the status that the client sees, where it is not that of the record.
    fields: dict[str, Any]


@dataclass
class App:
    name: str
    file: Path
    needs: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    deviations: dict[str, Deviation] = field(default_factory=dict)

    def command(self, folder: Path) -> list[str]:
        """How it is started; what has to be compiled for that goes to `folder`."""
        if self.file.suffix == ".py":
            for module in self.needs:
                if importlib.util.find_spec(module) is None:
                    raise NotHere(f"there is no Python module {module}")
            return [sys.executable, str(self.file)]
        if self.file.suffix in _NODE:
            node = shutil.which("node")
            if node is None:
                raise NotHere("there is no node")
            for module in ("libmalti", *self.needs):
                if not (NODE_MODULES / module).is_dir():
                    raise NotHere(f"there is no npm package {module} (.ci/node.py installs it)")
            return [node, str(self.file)]
        if self.file.suffix == ".go":
            return [str(_built(self.file, folder))]
        if self.file.suffix in (".c", ".cpp"):
            return [str(_compiled(self.file, self.needs, folder))]
        if self.file.suffix == ".conf":
            return _nginx(self.file, folder)
        raise Mistake(f"{self.name}: no way to start {self.file.name}")

    def environment(self) -> dict[str, str]:
        if self.file.suffix in _NODE:
            return {"NODE_PATH": str(NODE_MODULES), **self.env}
        if self.file.suffix != ".py":
            return self.env
        path = [os.environ.get("PYTHONPATH", ""), str(BINDING)]
        ours = os.pathsep.join(folder for folder in path if folder)
        return {"PYTHONPATH": ours, "PYTHONDONTWRITEBYTECODE": "1", **self.env}


def _compiled(source: Path, needs: list[str], folder: Path) -> Path:
    """A program in C, with the example's telemetry.c, or in C++."""
    is_cpp = source.suffix == ".cpp"
    variable, usual, standard = ("CXX", "c++", "c++17") if is_cpp else ("CC", "cc", "c11")
    compiler = os.environ.get(variable) or usual
    if not shutil.which(compiler):
        raise NotHere(f"there is no compiler ({compiler})")
    flags = [need for need in needs if need.startswith("-")]
    for package in needs:
        if package in flags:
            continue
        if not shutil.which("pkg-config"):
            raise NotHere("there is no pkg-config")
        asked = ["pkg-config", "--cflags", "--libs", package]
        found = subprocess.run(asked, capture_output=True, text=True)
        if found.returncode != 0:
            raise NotHere(f"there is no {package}")
        flags += shlex.split(found.stdout)
    program = folder / source.stem
    command = [compiler, f"-std={standard}", "-O1", *_STRICT, "-I", str(ROOT / "include")]
    command += ["-I", str(ROOT / "bindings" / ("cpp" if is_cpp else "c") / "adapters"), str(source)]
    if not is_cpp:
        command += ["-I", str(EXAMPLES), str(EXAMPLES / "telemetry.c")]
    command += ["-o", str(program), "-L", str(LIBRARY.parent), f"-Wl,-rpath,{LIBRARY.parent}"]
    done = subprocess.run([*command, "-lmalti", *flags], capture_output=True, text=True)
    if done.returncode != 0:
        # The compiler alone knows of what pkg-config does not.
        if any(need.startswith("-") for need in needs) and "No such file" in done.stderr:
            raise NotHere(f"there is no {' '.join(needs)}")
        raise Mistake(f"{source.name} does not compile\n{done.stderr}")
    return program


def _nginx(conf: Path, folder: Path) -> list[str]:
    """nginx with the module of this checkout, before the app in C."""
    sys.path.append(str(ROOT / "tests" / "nginx"))
    import serving

    if missing := serving.missing():
        raise NotHere(f"there is no {missing}")
    preloaded = folder / "stats.so"
    command = [os.environ.get("CC") or "cc", "-shared", "-fPIC", *_STRICT, "-Wno-pedantic"]
    subprocess.run(
        [*command, str(conf.with_name("stats.c")), "-o", str(preloaded), "-ldl"], check=True
    )
    behind = _compiled(HERE / "apps" / "c_app.c", [], folder)
    started = [sys.executable, str(conf.with_name("app.py"))]
    return [*started, str(serving.build(folder)), str(preloaded), str(behind)]


def _built(source: Path, folder: Path) -> Path:
    if not shutil.which("go"):
        raise NotHere("there is no go")
    program = folder / source.parent.name
    # Links the shared library of this checkout.
    command = ["go", "build", "-mod=readonly", "-tags", "malti_dev", "-o", str(program), "."]
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run(command, cwd=source.parent, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise Mistake(f"{source.parent.name} does not build\n{done.stderr}")
    return program


def read(text: str) -> dict[str, dict[str, Any]]:
    """The tables of a TOML file whose values are JSON too: texts, whole numbers, lists on one line.

    Python has a reader of its own from 3.11 on; this one is for the version before, and the file
    needs no more than it knows.
    """
    tables: dict[str, dict[str, Any]] = {}
    table: dict[str, Any] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if head := re.fullmatch(r"\[([\w-]+(?:\.[\w-]+)?)\]", line):
            if head[1] in tables:
                raise Mistake(f"line {number}: [{head[1]}] is there twice")
            table = tables[head[1]] = {}
            continue
        key, _, value = line.partition("=")
        try:
            if table is None or key.strip() in table:
                raise ValueError
            table[key.strip()] = json.loads(value)
        except ValueError:
            raise Mistake(f"line {number}: not understood: {line}") from None
    return tables


_FIELDS = {
    "method": str,
    "endpoint": str,
    "status": int,
    "consumer": str,
    "context": str,
    "answer": int,
}


def apps(path: Path, checks: set[str]) -> dict[str, App]:
    """The apps of a file; `checks` are the names that there may be deviations from."""
    found: dict[str, App] = {}
    for name, table in read(path.read_text("utf-8")).items():
        app, _, check = name.partition(".")
        if check:
            if app not in found:
                raise Mistake(f"[{name}] stands before [{app}]")
            if check not in checks:
                raise Mistake(f"[{name}]: no check has that name")
            found[app].deviations[check] = _deviation(name, dict(table))
            continue
        row = dict(table)
        file = path.parent / str(row.pop("file", ""))
        env = dict(pair.split("=", 1) for pair in row.pop("env", []))
        found[app] = App(app, file, row.pop("needs", []), env)
        if row or not file.is_file():
            raise Mistake(f"[{name}] has a file that is there, needs and env, and nothing else")
    return found


def _deviation(name: str, table: dict[str, Any]) -> Deviation:
    because = table.pop("because", "")
    if not isinstance(because, str) or not because.strip():
        raise Mistake(f"[{name}] does not say because of what")
    for key, value in table.items():
        if key == "response_time":
            valid = isinstance(value, list) and [type(limit) for limit in value] == [int, int]
        else:
            valid = type(value) is _FIELDS.get(key)
        if not valid:
            raise Mistake(f"[{name}]: {key} can't be {value!r}")
    if not table:
        raise Mistake(f"[{name}] does not say what is recorded instead")
    return Deviation(because, table)
