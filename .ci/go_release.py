"""Uses the assembled Go modules as their users do: from a module proxy, in a program elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path

import go_archive
import go_module
import tree

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
APPS = ROOT / "tests" / "conformance" / "apps" / "go"
PROGRAM = """\
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/go-chi/chi/v5"

	malti "github.com/libmalti/malti-go"
	maltichi "github.com/libmalti/malti-go/chi"
)

func main() {
	if err := malti.Init(malti.Config{URL: "file:" + os.Args[1], ServiceName: "s"}); err != nil {
		fmt.Println(err)
		return
	}
	malti.Record(malti.Request{Method: "GET", Endpoint: "/users/{id}", Status: 200})
	router := chi.NewRouter()
	router.Use(maltichi.Middleware)
	router.Get("/", func(http.ResponseWriter, *http.Request) {})
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
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
FINE = "<nil> 2"


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
    """a program outside gets the modules from a proxy"""
    module = folder / "module"
    go_module.assemble(module, partly=True)
    go_module.publish(module, folder / "proxy")
    consumer = folder / "consumer"
    consumer.mkdir()
    (consumer / "main.go").write_text(PROGRAM)
    (consumer / "go.mod").write_text("module example.org/consumer\n\ngo 1.25\n")
    outside = Consumer(consumer)
    wanted = [f"{name}@{go_module.release()}" for name in (go_module.NAME, f"{go_module.NAME}/chi")]
    return outside.go("get", *wanted) or outside.built()


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


def other(folder: Path, target: str) -> Path:
    """Puts another Rust library for that target beside a program in this folder, which calls it."""
    (folder / "both.go").write_text(BOTH)
    source, archive = folder / "other.rs", folder / "libother.a"
    source.write_text(OTHER)
    command = ["rustc", "-O", "--crate-type", "staticlib", "--target", target, "-o", str(archive)]
    # In the folder whose toolchain file counts.
    subprocess.run([*command, str(source)], cwd=ROOT, check=True)
    return archive


def beside_another(folder: Path) -> list[str]:
    """the same with another Rust library in the program"""
    consumer = folder / "consumer"
    other(consumer, tree.native())
    return Consumer(consumer).built()


def catching(folder: Path) -> list[str]:
    """a library that was made an archive as ours is catches a panic"""
    consumer = folder / "consumer"
    archive = other(consumer, tree.native())
    machine = tree.native().split("-")[0]
    archive.write_bytes(go_archive.merged(machine, archive, ["other_catches"]))
    # Go does not look at an archive when it decides whether to link anew.
    (consumer / "both.go").write_text(BOTH + "\n// Merged.\n")
    return Consumer(consumer).built()


def without_archive(folder: Path) -> list[str]:
    """a checkout without the archive names the command that makes it"""
    module = folder / "module"
    for archive in module.glob("lib/*/*"):
        if archive.name != "lib.go":
            archive.unlink()
    problems = Consumer(module).go("build", ".")
    return [] if problems and "make go-lib" in problems[0] else [f"go build said {problems}"]


def every_adapter(folder: Path) -> list[str]:
    """programs outside with each router's adapter, from a proxy and vendored"""
    apps = folder / "apps"
    shutil.copytree(APPS, apps)
    subprocess.run(["go", "mod", "download"], cwd=APPS, check=True)
    go_module.pin(apps)
    outside = Consumer(apps)
    problems = outside.go("build", "./...") or outside.go("mod", "vendor")
    return problems or outside.go("build", "-mod=vendor", "./...", GOFLAGS="", GOPROXY="off")


CHECKS = [proxied, vendored, without_cgo, dynamic, beside_another, catching, without_archive]
LONG_CHECKS = [*CHECKS, every_adapter]
