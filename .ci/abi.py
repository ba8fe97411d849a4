"""Guards the binary interface: what programs that exist were compiled with must stay true.

tests/abi/abi_1.c is the record, a program that compiles and links as long as every value, type and
function in it is still so. tests/abi/malti.abi is the same as libabigail sees it; `--accept` writes
it anew, which is for additions. What the header has and the record lacks fails too.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from stream import ROOT, output
from tally import Tally

HEADER = ROOT / "include" / "malti.h"
RELEASE = ROOT / "target" / "release"
FOLDER = ROOT / "tests" / "abi"
RECORD = FOLDER / "abi_1.c"
SEEN = FOLDER / "malti.abi"
GROWTH = FOLDER / "growth.suppr"
CC = os.environ.get("CC", "cc")


def declarations() -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER.read_text(), flags=re.DOTALL)


def names() -> set[str]:
    """All that the header gives names to: functions, constants, types, the struct's fields."""
    text = declarations()
    found = set(re.findall(r"\b(malti_\w+)\s*\(", text))
    found |= set(re.findall(r"^#define (MALTI_\w+) ", text, re.MULTILINE))
    found |= set(re.findall(r"(\w+);$", text.partition("typedef struct {")[2], re.MULTILINE))
    return found


def stand_in(folder: Path) -> Path:
    """A library with the header's functions, empty ones, whose types can be read from it."""
    bodies = []
    for result, name, parameters in re.findall(
        r"^((?:const )?\w+ \*?)(malti_\w+)\(([^;]*)\);", declarations(), re.MULTILINE
    ):
        body = "{}" if result == "void " else "{ return 0; }"
        bodies.append(f"{result}{name}({parameters}) {body}")
    source, library = folder / "stand_in.c", folder / "libmalti.so"
    source.write_text("\n".join(["#include <malti.h>", *bodies, ""]))
    command = [CC, "-g", "-O0", "-shared", "-fPIC", "-Wl,-soname,libmalti.so.1"]
    # By its name alone, for the path of a source is in what abidw writes.
    command += ["-I", str(HEADER.parent), source.name, "-o", str(library)]
    subprocess.run(command, cwd=folder, check=True)
    return library


def by_program(tally: Tally) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(temporary, "abi")
        command = [CC, "-std=c11", "-Wall", "-Werror", "-I", str(HEADER.parent), str(RECORD)]
        command += ["-o", str(program), "-L", str(RELEASE), f"-Wl,-rpath,{RELEASE}", "-lmalti"]
        status, text = output(command)
        if status == 0:
            status, text = output([str(program)])
        tally.check("ABI: the header keeps what is recorded", [text] if status else [])
    record = set(re.findall(r"\w+", RECORD.read_text()))
    new = sorted(names() - record)
    place = RECORD.relative_to(ROOT)
    tally.check("ABI: all of the header is recorded", [f"add {name} to {place}" for name in new])


def by_abigail(tally: Tally) -> None:
    name = "ABI: by abidiff"
    if platform.machine() != "x86_64":
        tally.skip(name, "it is recorded for x86-64")
        return
    if not shutil.which("abidiff"):
        tally.missing(name, "abidiff (abigail-tools)")
        return
    with tempfile.TemporaryDirectory() as temporary:
        compared = [str(SEEN), str(stand_in(Path(temporary)))]
        allowed = ["--no-added-syms", "--suppressions", str(GROWTH)]
        broken, text = output(["abidiff", *allowed, *compared])
        if broken:
            tally.fail(name, text)
            return
        grown, text = output(["abidiff", *compared])
        tally.check(name, [f"{text}run .ci/abi.py --accept"] if grown else [])


def run(tally: Tally) -> None:
    by_program(tally)
    by_abigail(tally)


def accept() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        command = ["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]
        library = stand_in(Path(temporary))
        subprocess.run([*command, "--out-file", str(SEEN), str(library)], check=True)


if __name__ == "__main__":
    if sys.argv[1:] != ["--accept"]:
        raise SystemExit(__doc__)
    accept()
