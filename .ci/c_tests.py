"""The C part of the tests: the headers, the shared library's face, the installed tree, programs.

Every tests/c/*.c (C11) and tests/cpp/*.cpp (C++17) is one test program: status 0 passes, 77 skips
(its last line says why), anything else or no end within TIMEOUT_S fails. Comment lines at its top
may ask for more:
    // pkg-config: NAME …   packages to compile and link with; without them it is skipped
    // flags: …             further flags for the compiler
    // valgrind: no, WHY    leaves it out of the run under valgrind
Programs find the library by MALTI_LIBRARY, the receiver by MALTI_RECEIVER.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import abi
import c_api
import header
import installed
import licences
from stream import output
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
RELEASE = ROOT / "target" / "release"
LIBRARY = RELEASE / "libmalti.so"
PROGRAMS = ROOT / "target" / "c-tests"
CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# What users of a header-only library may have switched on. Clang's everything is without what no
# such header can satisfy.
STRICTER = ["-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wold-style-cast", "-Wuseless-cast"]
EVERYTHING = ["-Weverything", "-Wno-c++98-compat", "-Wno-c++98-compat-pedantic", "-Wno-padded"]
EVERYTHING += ["-Wno-weak-vtables", "-Wno-unsafe-buffer-usage", "-Wno-unknown-warning-option"]
TIMEOUT_S = 120
SKIPPED = 77
# Node looks these two up by name when it loads the library as an addon.
NODE_ENTRIES = {"napi_register_module_v1", "node_api_module_get_api_version_v1"}


def headers(tally: Tally) -> None:
    """Each public header compiles alone, twice included, in each language version."""
    matrix = [("c99", "malti.h"), ("c11", "malti.h"), ("c17", "malti.h"), ("c++17", "malti.h")]
    matrix += [(standard, "malti.hpp") for standard in ("c++17", "c++20", "c++2b")]
    for standard, name in matrix:
        is_cpp = standard.startswith("c++")
        source = f'#include "{name}"\n#include "{name}"\nint main(void) {{ return 0; }}\n'
        for compiler in (CXX, "clang++") if is_cpp else (CC, "clang"):
            check = f"{name} as {standard} by {compiler}"
            if not shutil.which(compiler):
                tally.missing(check, compiler)
                continue
            command = [compiler, "-x", "c++" if is_cpp else "c", f"-std={standard}", *STRICT]
            if name == "malti.hpp":
                command += EVERYTHING if "clang" in compiler else STRICTER
            command += ["-I", str(INCLUDE), "-fsyntax-only", "-"]
            status, text = output(command, stdin=source)
            tally.check(check, [text] if status else [])
    without = [CXX, "-x", "c++", "-fno-exceptions", "-I", str(INCLUDE), "-fsyntax-only", "-"]
    _, text = output(without, stdin="#include <malti.hpp>\n")
    told = "malti.hpp needs exceptions" in text
    tally.check("malti.hpp without exceptions says what it needs", [] if told else [text])


def functions() -> set[str]:
    """The functions that the header declares."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", (INCLUDE / "malti.h").read_text(), flags=re.DOTALL)
    return set(re.findall(r"\b(malti_\w+)\s*\(", text))


def face(tally: Tally) -> None:
    """What the dynamic linker sees of the shared library."""
    for tool in ("nm", "readelf"):
        if not shutil.which(tool):
            tally.missing("the library's symbols and SONAME", f"{tool} (binutils)")
            return
    _, text = output(["nm", "-D", "--defined-only", str(LIBRARY)])
    symbols = {line.split()[-1] for line in text.splitlines()}
    strays = {s for s in symbols if not s.startswith("malti_")} - NODE_ENTRIES
    tally.check("exports nothing but malti_*", [f"also exports {s}" for s in sorted(strays)])
    absent = functions() - symbols
    tally.check("exports what the header declares", [f"lacks {s}" for s in sorted(absent)])
    _, text = output(["readelf", "--dynamic", "--wide", str(LIBRARY)])
    for name, pattern in (
        ("SONAME is libmalti.so.1", r"\(SONAME\).*\[libmalti\.so\.1\]"),
        ("is never unloaded (nodelete)", r"\(FLAGS_1\).*\bNODELETE\b"),
    ):
        tally.check(name, [] if re.search(pattern, text) else [text])


def directives(source: Path) -> dict[str, str]:
    top = source.read_text().splitlines()[:30]
    found = (re.match(r"\W*(pkg-config|flags|valgrind): (.*)", line) for line in top)
    return {match[1]: match[2].removesuffix("*/").strip() for match in found if match}


def build(source: Path, wants: dict[str, str]) -> tuple[list[str], Path]:
    """The command that compiles a test program, and where the program will be."""
    program = PROGRAMS / f"{source.stem}{source.suffix.replace('.', '-')}"
    compiler = [CC, "-std=gnu11"] if source.suffix == ".c" else [CXX, "-std=c++17"]
    command = [*compiler, *STRICT, "-g", "-O1", "-I", str(INCLUDE), "-I", str(source.parent)]
    command += [str(source), "-o", str(program), *shlex.split(wants.get("flags", ""))]
    if packages := wants.get("pkg-config", "").split():
        _, flags = output(["pkg-config", "--cflags", "--libs", *packages])
        command += shlex.split(flags)
    # Programs that load the library with dlopen use no symbol of it: they must not be linked.
    command += ["-L", str(RELEASE), f"-Wl,-rpath,{RELEASE}", "-Wl,--as-needed"]
    command += ["-lmalti", "-pthread"]
    return command, program


def execute(command: list[str]) -> tuple[int | None, str]:
    """Status (None: out of time) and output of a program that may hang or fork."""
    # A file, not a pipe: a child that outlives the program must not hold us up.
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.seek(0)
        return status, log.read()


def program(tally: Tally, source: Path, under_valgrind: bool) -> None:
    wants = directives(source)
    name = str(source.relative_to(ROOT)) + (" under valgrind" if under_valgrind else "")
    if under_valgrind and "valgrind" in wants:
        tally.skip(name, wants["valgrind"])
        return
    if packages := wants.get("pkg-config", "").split():
        if not shutil.which("pkg-config"):
            tally.missing(name, "pkg-config")
            return
        if output(["pkg-config", "--exists", *packages])[0]:
            tally.missing(name, " or ".join(packages))
            return
    command, binary = build(source, wants)
    status, text = output(command)
    if status:
        tally.fail(name, text)
        return
    wrapper = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full"]
    wrapper += ["--errors-for-leak-kinds=definite", "--trace-children=no"]
    outcome, text = execute([*wrapper, str(binary)] if under_valgrind else [str(binary)])
    if outcome == SKIPPED:
        tally.skip(name, (text.strip().splitlines() or ["no reason given"])[-1])
    elif outcome is None:
        tally.fail(name, f"{text}no end after {TIMEOUT_S} s")
    else:
        tally.check(name, [f"{text}status {outcome}"] if outcome else [])


def run(tally: Tally, long: bool) -> None:
    if not (INCLUDE / "malti.h").is_file():
        tally.fail("include/malti.h", "is missing: run make header")
        return
    for name, is_current, target in (
        ("include/malti.h", header.is_current, "header"),
        ("docs/c-api.md", c_api.is_current, "header"),
        ("THIRD-PARTY-LICENSES", licences.is_current, "licences"),
    ):
        try:
            tally.check(f"{name} is current", [] if is_current() else [f"run make {target}"])
        except (subprocess.CalledProcessError, SystemExit) as error:
            tally.fail(f"{name} is current", str(error))
    headers(tally)
    face(tally)
    abi.run(tally)
    installed.run(tally)
    if long:
        installed.by_cargo_c(tally)
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    sources = sorted([*ROOT.glob("tests/c/*.c"), *ROOT.glob("tests/cpp/*.cpp")])
    if not sources:
        tally.fail("tests/c", "holds no test program")
    for source in sources:
        program(tally, source, under_valgrind=False)
    if long and not shutil.which("valgrind"):
        tally.missing("the programs under valgrind", "valgrind")
    elif long:
        for source in sources:
            program(tally, source, under_valgrind=True)
