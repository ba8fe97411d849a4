"""The jobs that need Python packages, each in an environment with pinned hashes; make calls it."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
RELEASE = ROOT / "target" / "release"
REPORTS = ROOT / ".tools" / "reports"
# Versions that the binding is tested on beside the one that runs make. One that is not installed
# is skipped, also in CI.
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
# What the library is built for, and the platform tags of its wheel. The oldest glibc that it runs
# on is 2.17; pip before 20.3 knows that as 2014.
TARGETS = {
    "x86_64-unknown-linux-gnu": "manylinux2014_x86_64.manylinux_2_17_x86_64",
    "aarch64-unknown-linux-gnu": "manylinux2014_aarch64.manylinux_2_17_aarch64",
    "x86_64-unknown-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-unknown-linux-musl": "musllinux_1_2_aarch64",
    "aarch64-apple-darwin": "macosx_11_0_arm64",
    "x86_64-apple-darwin": "macosx_11_0_x86_64",
    "x86_64-pc-windows-gnu": "win_amd64",
}
WHEELS = ROOT / "target" / "wheels"
NPM = ROOT / "target" / "npm"

nox.options.envdir = str(ROOT / ".tools" / "nox")
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
nox.options.sessions = ["test"]


def install(session: nox.Session, *names: str) -> None:
    files = [argument for name in names for argument in ("-r", f"requirements/{name}.txt")]
    session.install("--quiet", "--require-hashes", *files)


def project() -> dict[str, str]:
    """Where a checkout keeps what an installed binding would bring along."""
    package = ROOT / "bindings" / "python"
    paths = [str(folder) for folder in (package / "src", package) if folder.is_dir()]
    library = "libmalti.dylib" if os.uname().sysname == "Darwin" else "libmalti.so"
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "MALTI_LIBRARY": str(RELEASE / library),
        "MALTI_RECEIVER": str(RELEASE / "malti"),
    }


def reference(session: nox.Session) -> dict[str, str]:
    """The wheel of the client that the binding takes the place of, which is not to be installed."""
    folder = ROOT / ".tools" / "reference"
    if not list(folder.glob("*.whl")):
        download = ["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        download += ["--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder)]
        session.run(sys.executable, *download, "-r", "requirements/reference.txt", external=True)
    return {"MALTI_REFERENCE": str(folder)}


def pytest(
    session: nox.Session, *places: str, packages: Sequence[str] = ("test", "wheel", "worker")
) -> None:
    files = session.posargs or [str(path) for place in places for path in sorted(ROOT.glob(place))]
    if not files:
        session.error("there is no test to run")
    if packages:
        install(session, *packages)
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"python-{session.name}.xml"
    options = ["-ra", "--import-mode=importlib", f"--junit-xml={report}"]
    options += ["-o", "junit_family=xunit2", "-o", f"cache_dir={ROOT}/.tools/pytest"]
    options += [f"--rootdir={ROOT}", "--strict-markers"]
    session.run("pytest", *options, *files, env={**project(), **reference(session)})


@nox.session
def test(session: nox.Session) -> None:
    """The binding's tests and those of the project as a whole."""
    packages = ("test", "wheel", "worker", "pages")
    pytest(session, "bindings/python/tests", "tests/*/test_*.py", packages=packages)


@nox.session(python=PYTHONS)
def test_all(session: nox.Session) -> None:
    """The same on every Python that is there."""
    pytest(session, "bindings/python/tests", "tests/test_*.py")


@nox.session
@nox.parametrize("python,packages", [("3.9", "old"), ("3.10", "middle")], ids=["old", "middle"])
def test_old(session: nox.Session, packages: str) -> None:
    """The ASGI middleware with the FastAPI and Starlette of earlier years."""
    names = ("asgi", "requests")
    pytest(session, *(f"bindings/python/tests/test_{n}.py" for n in names), packages=[packages])


@nox.session
@nox.parametrize("python", ["pypy3", "3.13t", "3.14t"])
def test_other(session: nox.Session) -> None:
    """The binding on PyPy and without the GIL, where not every framework can be installed."""
    if str(session.python).startswith("pypy"):
        constraints, packages = "old", ["pytest", "starlette", "uvicorn"]
        names = ["asgi", "call", "import", "logging", "threads", "vectors"]
    else:
        # pydantic, and with it FastAPI, has no wheel for 3.13t.
        constraints, packages = "test", ["pytest", "starlette", "uvicorn", "flask", "gunicorn"]
        packages += ["waitress", "bottle", "django", "quart"]
        names = ["asgi", "bottle", "call", "django", "flask", "free_threaded", "import"]
        names += ["logging", "quart", "reload", "threads", "vectors", "wsgi"]
    session.install("--quiet", "--constraint", f"requirements/{constraints}.txt", *packages)
    pytest(session, *(f"bindings/python/tests/test_{n}.py" for n in names), packages=[])


@nox.session
def demo(session: nox.Session) -> None:
    """Real servers, real requests, and a comparison of what arrived."""
    install(session, "demo")
    session.run("python", "tests/demo/run.py", *session.posargs, env=project())


@nox.session
def conformance(session: nox.Session) -> None:
    """The same requests to an app per framework, and a comparison of the records."""
    install(session, "test")
    session.run("python", "tests/conformance/run.py", *session.posargs, env=project())


@nox.session
def bench(session: nox.Session) -> None:
    """The parts of the bench that need Python packages, and its report."""
    try:
        install(session, "bench")
    except CommandFailed:
        # One that cannot be had leaves the others; its row on the page says so.
        for line in (ROOT / "requirements" / "bench.in").read_text().splitlines():
            if line and not line.startswith("#"):
                only = ("--quiet", "--constraint", "requirements/bench.txt", line)
                session.install(*only, success_codes=range(256))
    session.run("python", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Python and shell: format, lint, types."""
    install(session, "lint")
    listed = session.run("git", "ls-files", "*.py", ".ci/run", "*.sh", external=True, silent=True)
    files = [name for name in str(listed).split() if (ROOT / name).is_file()]
    scripts = [name for name in files if name.endswith(".py")]
    ruff = ("--config", ".ci/ruff.toml", "--cache-dir", ".tools/ruff")
    session.run("ruff", "format", "--check", "--quiet", *ruff, *scripts)
    session.run("ruff", "check", "--quiet", *ruff, *scripts)
    mypy = ("mypy", "--strict", "--cache-dir", ".tools/mypy", "--no-error-summary")
    session.run(*mypy, *(name for name in scripts if name.startswith(".ci/")))
    session.run(*mypy, "--python-executable", sys.executable, "noxfile.py")
    # Frameworks are not installed here: the binding sees them as untyped.
    for package in sorted(ROOT.glob("bindings/python/**/py.typed")):
        session.run(*mypy, "--ignore-missing-imports", str(package.parent))
    users = ROOT.glob("bindings/python/tests/typed/*.py")
    session.run(*mypy, *map(str, users), env={"MYPYPATH": str(ROOT / "bindings/python/src")})
    session.run("basedpyright", "--project", ".ci/pyright.json")
    hatch = ("--ignore-missing-imports", "--allow-subclassing-any")
    session.run(*mypy, *hatch, "bindings/python/hatch_build.py")
    session.run("shellcheck", *(name for name in files if not name.endswith(".py")))


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the pages into target/docs. A link that leads nowhere is an error."""
    install(session, "docs")
    strict = ("--fail-on-warning", "--keep-going", "--fresh-env", "--write-all", "--quiet")
    places = ("--conf-dir", "docs", "--doctree-dir", ".tools/docs", ".", "target/docs")
    session.run("sphinx-build", *strict, "--jobs", "auto", *places)


def apple_frameworks() -> Path:
    """Stand-ins for the frameworks that Apple's SDK would bring: names to link to, without symbols.

    What links against them shows that the sources compile and fit together, and nothing more.
    """
    folder = ROOT / ".tools" / "apple"
    for name in ("CoreFoundation", "Security"):
        framework = folder / f"{name}.framework"
        framework.mkdir(parents=True, exist_ok=True)
        installed = f"/System/Library/Frameworks/{name}.framework/Versions/A/{name}"
        (framework / f"{name}.tbd").write_text(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos, x86_64-macos ]\n"
            f"install-name: '{installed}'\n...\n"
        )
    return folder


def build(session: nox.Session, target: str) -> list[Path]:
    """Builds the library for a target, and gives the shared one and the static one."""
    # musl links statically unless told otherwise, and then there is no shared library.
    flags = "-C target-feature=-crt-static" if target.endswith("musl") else ""
    if "apple" in target:
        flags = f"-C link-arg=-F{apple_frameworks()} -C link-arg=-Wl,-undefined,dynamic_lookup"
    env = {
        f"CARGO_TARGET_{target.upper().replace('-', '_')}_RUSTFLAGS": flags,
        "MACOSX_DEPLOYMENT_TARGET": "11.0",
    }
    if "windows" in target:
        # No tool strips its static library, and debug information names the paths of this machine.
        env[f"CFLAGS_{target.replace('-', '_')}"] = "-g0"
    if shutil.which("rustup"):
        session.run("rustup", "--quiet", "target", "add", target, external=True)
    command = ["cargo-zigbuild", "rustc", "--locked", "--release", "--package", "libmalti", "--lib"]
    command += ["--crate-type", "cdylib,staticlib"]
    remap = session.run("python", ".ci/remap.py", silent=True)
    command += ["--config", str(remap).strip()]
    glibc = ".2.17" if target.endswith("linux-gnu") else ""
    command += ["--target", target + glibc]
    made = ROOT / "target" / target / "release"
    session.run(
        *command, "--", f"--print=native-static-libs={made}/native-static-libs.txt", env=env
    )
    names = ("libmalti.so", "libmalti.dylib", "malti.dll", "libmalti.a")
    files = [made / name for name in names]
    return [file for file in files if file.is_file()]


@nox.session
def cross(session: nox.Session) -> None:
    """Builds the library for other platforms, which keeps src/sys honest, and prints its sizes."""
    install(session, "cross")
    failed = []
    for target in session.posargs or TARGETS:
        try:
            made = build(session, target)
        except CommandFailed:
            failed.append(target)
            continue
        print(target, *(f"{file.name} {file.stat().st_size:,} bytes" for file in made), sep="  ")
    if failed:
        session.error(f"did not build: {', '.join(failed)}")


@nox.session
def wheels(session: nox.Session) -> None:
    """Builds the binding's sdist and its wheel for each target, and checks what they say."""
    install(session, "cross", "wheel")
    shutil.rmtree(WHEELS, ignore_errors=True)
    hatch = ("python", "-m", "hatchling", "build", "--directory", str(WHEELS))
    # The same commit gives the same bytes.
    commit = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or str(commit).strip()
    targets = {target: TARGETS[target] for target in session.posargs or TARGETS}
    libraries = {tag: build(session, target)[0] for target, tag in targets.items()}
    with session.chdir("bindings/python"):
        session.run(*hatch, "--target", "sdist", env={"SOURCE_DATE_EPOCH": epoch})
        for tag, library in libraries.items():
            env = {"MALTI_PREBUILT_LIB": str(library), "MALTI_WHEEL_PLATFORM": tag}
            session.run(*hatch, "--target", "wheel", env={**env, "SOURCE_DATE_EPOCH": epoch})
    session.run("python", ".ci/wheels.py", *map(str, sorted(WHEELS.glob("*.whl"))))


@nox.session
def npm_packages(session: nox.Session) -> None:
    """Builds the npm packages: the binding's own, and one for each target with its library."""
    install(session, "cross")
    targets = session.posargs or TARGETS
    libraries = [f"{target}={build(session, target)[0]}" for target in targets]
    session.run("node", "bindings/node/pack.js", str(NPM), *libraries, external=True)


@nox.session
def dist(session: nox.Session) -> None:
    """Packs the library for each target as a tree to unpack."""
    install(session, "cross")
    shutil.rmtree(ROOT / "target" / "dist", ignore_errors=True)
    for target in session.posargs or TARGETS:
        session.run("python", ".ci/dist.py", target, str(build(session, target)[0].parent))


@nox.session
def go_libs(session: nox.Session) -> None:
    """Makes the archives that a release of the Go modules has in it."""
    install(session, "cross")
    # Of each machine musl's first, whose Rust has the unwinder that all of them get.
    for target in sorted((target for target in TARGETS if "linux" in target), reverse=True):
        built = build(session, target)[0].parent
        session.run("python", ".ci/go_archive.py", target, str(built))


@nox.session
def packages(session: nox.Session) -> None:
    """Tests of what `wheels`, `dist` and `go_libs` built, and of the sdist: they take minutes."""
    install(session, "cross")
    pytest(session, "bindings/python/tests/long_*.py", "tests/dist/long_*.py")
