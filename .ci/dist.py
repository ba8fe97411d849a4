"""Packs the tree of an installed libmalti: `dist.py native`, or `dist.py TARGET FOLDER-OF-BUILD`.

target/dist gets an archive, and in SHA256SUMS the sums of all that lie there. The same commit gives
the same bytes: entries are sorted, their times are SOURCE_DATE_EPOCH or the commit's.
"""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

from tree import RELEASE, ROOT, Link, Tree, native, tree, version

DIST = ROOT / "target" / "dist"


def epoch() -> int:
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    git = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(git, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def tarball(file: Path, root: str, entries: Tree, seconds: int) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, entry in sorted(entries.items()):
            info = tarfile.TarInfo(f"{root}/{name}")
            info.mtime = seconds
            if isinstance(entry, Link):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.to, 0o777
                archive.addfile(info)
            else:
                content = entry.read()
                info.size, info.mode = len(content), entry.mode
                archive.addfile(info, io.BytesIO(content))
    file.write_bytes(gzip.compress(plain.getvalue(), mtime=seconds))


def zipped(file: Path, root: str, entries: Tree, seconds: int) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in sorted(entries.items()):
            assert not isinstance(entry, Link), "Windows has no links to unpack"
            info = zipfile.ZipInfo(f"{root}/{name}", time.gmtime(seconds)[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100000 | entry.mode) << 16
            archive.writestr(info, entry.read())


def pack(target: str, built: Path, place: Path = DIST) -> Path:
    root = f"libmalti-{version()}-{target}"
    entries = tree(target, built, licences="")
    windows = "windows" in target
    file = place / f"{root}{'.zip' if windows else '.tar.gz'}"
    file.parent.mkdir(parents=True, exist_ok=True)
    (zipped if windows else tarball)(file, root, entries, epoch())
    return file


def sums() -> str:
    files = sorted(file for file in DIST.iterdir() if file.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)


def main() -> None:
    if sys.argv[1:] == ["native"]:
        file = pack(native(), RELEASE)
    else:
        target, built = sys.argv[1:]
        file = pack(target, Path(built))
    (DIST / "SHA256SUMS").write_text(sums())
    print(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
