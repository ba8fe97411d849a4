"""Makes the archive that the Go binding links: one object, in which only the C interface is global.

`go_archive.py` makes this machine's of what `make lib` has built, `go_archive.py TARGET
FOLDER-OF-BUILD` that of another Linux. A raw archive of Rust's holds the whole standard library,
under names that it shares with every other one: two cannot be linked into one program.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tree

ROOT, RELEASE = tree.ROOT, tree.RELEASE
LIBRARIES = ROOT / "bindings" / "go" / "lib"
# Go's names.
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


def tool(name: str, machine: str) -> str:
    """A program of binutils for objects of that machine."""
    if machine == platform.machine():
        return name
    name = f"{machine}-linux-gnu-{name}"
    if shutil.which(name) is None:
        raise FileNotFoundError(f"{name} is missing (Debian: binutils-{machine}-linux-gnu)")
    return name


def unwinder(machine: str) -> Path:
    """The library that unwinds panics, of Rust's musl, which asks for nothing but what every C
    library has: with it an archive needs no `libgcc_s`, whatever the compiler. A checkout's own
    does without where Rust has not that target.
    """
    rustlib = Path(tree.rustc("--print", "sysroot").strip(), "lib", "rustlib")
    return rustlib / f"{machine}-unknown-linux-musl" / "lib" / "self-contained" / "libunwind.a"


def merged(machine: str, raw: Path, names: list[str]) -> bytes:
    """An archive of one object, in which only these names are global."""
    with tempfile.TemporaryDirectory() as folder:
        whole, made = Path(folder, "malti.o"), Path(folder, "libmalti.a")
        script = Path(folder, "merge.ld")
        rows = "".join(f"{name} 0 : {{ *({name} {name}.*) }}\n" for name in MERGED)
        # Nothing refers to it, but without it no panic is caught.
        rows += ".eh_frame 0 : { KEEP(*(.eh_frame)) }\n"
        script.write_text(f"SECTIONS {{\n{rows}}}\n")
        link = [tool("ld", machine), "-r", "--gc-sections"]
        link += [f"--undefined={name}" for name in names]
        # Else a group of sections is dropped where another Rust library has one of its name.
        link += ["--force-group-allocation", "-T", str(script), "-o", str(whole), str(raw)]
        if (unwinds := unwinder(machine)).is_file():
            link.append(str(unwinds))
        subprocess.run(link, check=True)
        hide = [tool("objcopy", machine), "--strip-unneeded"]
        hide += [f"--remove-section={name}" for name in BITCODE]
        hide += [*(f"--keep-global-symbol={name}" for name in names), str(whole)]
        subprocess.run(hide, check=True)
        # D: without times and owners, so that the same object gives the same archive.
        pack = [tool("ar", machine), "rcsD", str(made), str(whole)]
        subprocess.run(pack, check=True)
        return made.read_bytes()


def make(target: str, built: Path) -> Path:
    """Writes the archive, and beside it a header that says which it is: Go does not look at an
    archive when it decides whether to link anew.
    """
    archive = place(target)
    content = merged(target.split("-")[0], built / "libmalti.a", functions())
    digest = hashlib.sha256(content).hexdigest()
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    (archive.parent / "archive.h").write_text(f"// libmalti.a is {digest}\n")
    return archive


def place(target: str) -> Path:
    """Where the archive for one of Rust's targets goes, which is a Linux."""
    machine, _, _, libc = target.split("-")
    musl = "_musl" if libc == "musl" else ""
    return LIBRARIES / f"linux_{MACHINES[machine]}{musl}" / "libmalti.a"


def native() -> Path:
    """Makes this machine's."""
    return make(tree.native(), RELEASE)


def main() -> int:
    target, built = sys.argv[1:] or (tree.native(), RELEASE)
    if "linux" not in target or target.split("-")[0] not in MACHINES:
        print("go-lib: there is no recipe for this platform; build with -tags malti_dynamic")
        return 1
    archive = make(target, Path(built))
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
