"""Makes the archive that the Go binding links: one object, in which only the C interface is global.

A raw archive of Rust's holds the whole standard library, under names that it shares with every
other one: two cannot be linked into one program.
"""

import hashlib
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "target" / "release" / "libmalti.a"
LIBRARIES = ROOT / "bindings" / "go" / "lib"
# Go's name for this machine.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# A section for each function is of use until what nobody needs is gone; then it is a third of the
# file.
MERGED = [".text", ".rodata", ".data.rel.ro", ".gcc_except_table"]
MERGED += [".data", ".bss", ".tdata", ".tbss"]
# What link-time optimisation leaves behind; linkers stumble over it.
BITCODE = (".llvmbc", ".llvmcmd")


def functions() -> list[str]:
    """The functions that the header declares."""
    header = (ROOT / "include" / "malti.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return sorted(set(re.findall(r"\b(malti_\w+)\s*\(", text)))


def make(archive: Path) -> None:
    """Writes the archive, and beside it a header that says which it is: Go does not look at an
    archive when it decides whether to link anew.
    """
    names = functions()
    with tempfile.TemporaryDirectory() as folder:
        whole, made = Path(folder, "malti.o"), Path(folder, archive.name)
        script = Path(folder, "merge.ld")
        rows = "".join(f"{name} 0 : {{ *({name} {name}.*) }}\n" for name in MERGED)
        script.write_text(f"SECTIONS {{\n{rows}}}\n")
        link = ["ld", "-r", "--gc-sections", *(f"--undefined={name}" for name in names)]
        # Else a group of sections is dropped where another Rust library has one of its name.
        link += ["--force-group-allocation", "-T", str(script), "-o", str(whole), str(RAW)]
        subprocess.run(link, check=True)
        hide = ["objcopy", "--strip-unneeded", *(f"--remove-section={name}" for name in BITCODE)]
        hide += [*(f"--keep-global-symbol={name}" for name in names), str(whole)]
        subprocess.run(hide, check=True)
        # D: without times and owners, so that the same object gives the same archive.
        subprocess.run(["ar", "rcsD", str(made), str(whole)], check=True)
        content = made.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    (archive.parent / "archive.h").write_text(f"// libmalti.a is {digest}\n")


def place() -> Path:
    """Where this machine's archive goes."""
    return LIBRARIES / f"linux_{MACHINES[platform.machine()]}" / "libmalti.a"


def main() -> int:
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        print("go-lib: there is no recipe for this platform; build with -tags malti_dynamic")
        return 1
    archive = place()
    make(archive)
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
