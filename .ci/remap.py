"""Prints the cargo setting under which no path of this machine gets into a library.

Panics name the source file: of crates in cargo's folder, and of Rust's own where rustup has it.
"""

import json
import os
import subprocess
from pathlib import Path


def setting() -> str:
    """What `cargo --config` takes. It adds to other flags, but gives way to RUSTFLAGS."""
    rustc = [os.environ.get("RUSTC", "rustc"), "--print", "sysroot"]
    # In the folder whose toolchain file counts.
    sysroot = subprocess.run(
        rustc, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True
    )
    names = {
        Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry" / "src": "crates",
        Path(sysroot.stdout.strip()) / "lib" / "rustlib" / "src" / "rust": "rust",
    }
    flags = [f"--remap-path-prefix={path}={name}" for path, name in names.items()]
    return f"target.'cfg(all())'.rustflags={json.dumps(flags)}"


if __name__ == "__main__":
    print(setting())
