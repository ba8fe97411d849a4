"""Checks the wheels named by its arguments, and prints a row for each.

A tag is a promise to every machine that has it. auditwheel reads from a library for glibc what it
needs. musl's symbols have no versions: a library for it must need musl alone, and a test loads it.
Elsewhere the format is all that is looked at.
"""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile  # type: ignore[import-not-found,unused-ignore]

ROOT = Path(__file__).resolve().parent.parent
CARGO_HOME = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
# What a library begins with, by the end of its wheel's name: format, machine.
MAGIC = {
    "macosx_11_0_x86_64": rb"\xcf\xfa\xed\xfe\x07\x00\x00\x01",
    "x86_64": rb"\x7fELF\x02\x01\x01.{11}\x3e\x00",
    "aarch64": rb"\x7fELF\x02\x01\x01.{11}\xb7\x00",
    "arm64": rb"\xcf\xfa\xed\xfe\x0c\x00\x00\x01",
    "amd64": rb"MZ",
}
# Those that the tests of the packages load.
RUN = ("manylinux_2_17", "musllinux_1_2_x86_64")


def problems(wheel: Path) -> tuple[list[str], int]:
    """What is wrong with a wheel, and the size of its library in bytes."""
    found = []
    python, abi, platforms = wheel.stem.split("-")[-3:]
    if (python, abi) != ("py3", "none"):
        found.append(f"it is not for every Python: {python}-{abi}")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith((".so", ".dylib", ".dll"))]
        if len(names) != 1:
            return [*found, f"it holds not one library but {names}"], 0
        library = archive.read(names[0])
    magic = next(
        (magic for end, magic in MAGIC.items() if f"_{platforms}".endswith(f"_{end}")), None
    )
    if magic is None or not re.match(magic, library, re.DOTALL):
        found.append(f"{names[0]} is not for {platforms}")
    for place in (CARGO_HOME, ROOT):
        if os.fsencode(place) + b"/" in library:
            found.append(f"{names[0]} holds a path of this machine, {place}")
    if platforms.startswith("manylinux"):
        found += audited(wheel, platforms.split(".")[-1])
    elif platforms.startswith("musllinux"):
        dynamic = ELFFile(io.BytesIO(library)).get_section_by_name(".dynamic")
        needed = [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]
        if needed != ["libc.so"]:
            found.append(f"it needs {needed} and not musl alone")
    return found, len(library)


def audited(wheel: Path, tag: str) -> list[str]:
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdict = re.search(r'platform tag:\s*"manylinux_(\d+)_(\d+)_(\w+)"', done.stdout)
    claim = re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", tag)
    if verdict is None or claim is None:
        return [f"auditwheel gives no tag: {done.stdout}{done.stderr}"]
    oldest, claimed = ([int(part) for part in found.groups()[:2]] for found in (verdict, claim))
    if oldest > claimed or verdict[3] != claim[3]:
        return [f"by auditwheel it is manylinux_{'_'.join(verdict.groups())}"]
    return []


def main() -> int:
    wheels = [Path(name) for name in sys.argv[1:]]
    failed = not wheels
    for wheel in wheels:
        found, size = problems(wheel)
        failed |= bool(found)
        run = "" if any(tag in wheel.name for tag in RUN) else ", not run by any test"
        sizes = f"library {size:,} bytes, wheel {wheel.stat().st_size:,} bytes"
        print(f"{wheel.name}  {sizes}  {'; '.join(found) or 'tag checked'}{run}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
