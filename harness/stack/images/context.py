"""What an image is built from: a folder, and the archive of it that says nothing of who made it and when."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from harness.stack.images.recipes import ImageError

COMPILE_TIMEOUT_S = 300.0


def copy(files: Iterable[tuple[str, Path]], folder: Path) -> None:
    """Files and links, to the places named, below `folder`."""
    for name, source in files:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            place.symlink_to(source.readlink())
        else:
            content = source.read_bytes()
            place.write_bytes(content)
            if source.stat().st_mode & 0o100 or content.startswith(b"#!"):  # an installer need not have kept the mode of a script
                place.chmod(0o755)


def compile_sources(folder: Path, runs_as: str) -> None:
    """Bytecode in the place of Python sources: half the start of a service would be compiling them.

    `runs_as` is the folder's path in the image. What cannot be compiled (libraries bring templates) stays a source.
    """
    placed = ["-s", str(folder), "-p", runs_as]
    command = [sys.executable, "-m", "compileall", "-qq", "-b", "-j", "0", "--invalidation-mode", "unchecked-hash", *placed, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"{folder.name} was not compiled within {COMPILE_TIMEOUT_S:g} s") from None
    compiled = list(folder.rglob("*.pyc"))
    if not compiled:
        raise ImageError(f"{folder.name} cannot be compiled: {done.stderr.strip()[-300:]}")
    for path in compiled:
        path.with_suffix(".py").unlink(missing_ok=True)


def strip(folder: Path) -> None:
    """Cut off what loading needs nothing of: symbols and debugging information, which are nine tenths of some wheels' libraries."""
    for path in folder.rglob("*.so*"):
        if not path.is_symlink():
            path.write_bytes(_loaded_part(path.read_bytes()))


def _loaded_part(library: bytes) -> bytes:
    """An ELF file up to the end of its last segment: the loader reads segments, never the table of sections behind them."""
    if library[:6] != b"\x7fELF\x02\x01":  # 64 bit, little endian
        return library
    headers, size, count = struct.unpack_from("<Q", library, 32)[0], *struct.unpack_from("<HH", library, 54)
    end = headers + size * count
    for place in range(headers, end, size):
        offset, in_file = struct.unpack_from("<Q", library, place + 8)[0], struct.unpack_from("<Q", library, place + 32)[0]
        end = max(end, offset + in_file)
    kept = bytearray(library[:end])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HHH", kept, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(kept)


def archive(folder: Path) -> bytes:
    """A tar of all below `folder`: everything is root's, readable by all, of no particular time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            member = tar.gettarinfo(path, str(path.relative_to(folder)))
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = "root"
            if not path.is_symlink():
                member.mode = 0o755 if path.is_dir() or member.mode & 0o100 else 0o644
            if member.isreg():
                with path.open("rb") as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)
    return buffer.getvalue()
