"""Uses the assembled Go module as its users do: from a module proxy, in a program elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path

import go_module

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
VERSION = "v0.1.0"
PROGRAM = """\
package main

import (
	"context"
	"fmt"
	"os"

	malti "github.com/libmalti/malti-go"
)

func main() {
	if err := malti.Init(malti.Config{URL: "file:" + os.Args[1], ServiceName: "s"}); err != nil {
		fmt.Println(err)
		return
	}
	malti.Record(malti.Request{Method: "GET", Endpoint: "/users/{id}", Status: 200})
	fmt.Println(malti.Shutdown(context.Background()), malti.Stats().Sent)
}
"""
BOTH = """\
package main

// #cgo LDFLAGS: ${SRCDIR}/libother.a
// int other_catches(int);
import "C"

func init() {
	if C.other_catches(3) != -1 {
		panic("the other library does not unwind")
	}
}
"""
# Has all of Rust's standard library in it, and catches a panic of its own.
OTHER = """\
#[no_mangle]
pub extern "C" fn other_catches(index: usize) -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| vec![1, 2, 3][index]).unwrap_or(-1)
}
"""
FINE = "<nil> 1"


class Consumer:
    """A program in a folder of its own, which gets the module from a proxy of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "consumer"
        downloaded = subprocess.run(
            ["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True
        ).stdout.strip()
        self.env = {
            **os.environ,
            "GOPROXY": f"file://{folder.parent}/proxy,file://{downloaded}/cache/download,off",
            "GOMODCACHE": str(folder.parent / "modules"),
            "GOSUMDB": "off",
            "GOFLAGS": "-mod=mod -modcacherw",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def go(self, *arguments: str, **env: str) -> list[str]:
        """Runs a command of go's; what went wrong."""
        done = subprocess.run(
            ["go", *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return [f"go {' '.join(arguments)}\n{done.stdout}"] if done.returncode else []

    def built(self, *arguments: str, says: str = FINE, **env: str) -> list[str]:
        """Builds the program and runs it; what went wrong."""
        self.program.unlink(missing_ok=True)
        if problems := self.go("build", "-o", str(self.program), *arguments, **env):
            return problems
        command = [str(self.program), str(self.folder / "records")]
        said = subprocess.run(command, capture_output=True, text=True, env={**self.env, **env})
        if said.stdout.strip() != says:
            return [f"it said {said.stdout!r} {said.stderr!r}, not {says!r}"]
        return []


def proxied(folder: Path) -> list[str]:
    """a program outside gets the module from a proxy"""
    tree = folder / "module"
    go_module.assemble(tree)
    go_module.publish(tree, folder / "proxy", VERSION)
    consumer = folder / "consumer"
    consumer.mkdir()
    (consumer / "main.go").write_text(PROGRAM)
    (consumer / "go.mod").write_text("module example.org/consumer\n\ngo 1.25\n")
    outside = Consumer(consumer)
    return outside.go("get", f"{go_module.NAME}@{VERSION}") or outside.built()


def vendored(folder: Path) -> list[str]:
    """the same with its modules vendored"""
    outside = Consumer(folder / "consumer")
    problems = outside.go("mod", "vendor")
    return problems or outside.built("-mod=vendor", GOFLAGS="", GOPROXY="off")


def without_cgo(folder: Path) -> list[str]:
    """the same without cgo, which records nothing"""
    outside = Consumer(folder / "consumer")
    return outside.built(says="malti: built without cgo", CGO_ENABLED="0")


def dynamic(folder: Path) -> list[str]:
    """the same with the shared library, by pkg-config"""
    if not shutil.which("pkg-config"):
        return ["there is no pkg-config"]
    (folder / "malti.pc").write_text(
        f"Name: malti\nDescription: of this checkout\nVersion: 0.1.0\nLibs: -L{RELEASE} -lmalti\n"
    )
    outside = Consumer(folder / "consumer")
    env = {"PKG_CONFIG_PATH": str(folder), "LD_LIBRARY_PATH": str(RELEASE)}
    return outside.built("-tags", "malti_dynamic", **env)


def beside_another(folder: Path) -> list[str]:
    """the same with another Rust library in the program"""
    consumer = folder / "consumer"
    source = folder / "other.rs"
    source.write_text(OTHER)
    compiler = ["rustc", "-O", "--crate-type", "staticlib", "-o", str(consumer / "libother.a")]
    # In the folder whose toolchain file counts.
    done = subprocess.run([*compiler, str(source)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return [done.stderr]
    (consumer / "both.go").write_text(BOTH)
    return Consumer(consumer).built()


def without_archive(folder: Path) -> list[str]:
    """a checkout without the archive names the command that makes it"""
    tree = folder / "module"
    for archive in tree.glob("lib/*/*"):
        if archive.name != "lib.go":
            archive.unlink()
    problems = Consumer(tree).go("build", ".")
    return [] if problems and "make go-lib" in problems[0] else [f"go build said {problems}"]


CHECKS = [proxied, vendored, without_cgo, dynamic, beside_another, without_archive]
