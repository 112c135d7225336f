"""Rotated logs within bounds: compressed after a while, removed after a longer one. The file that is being written is never touched."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.ops.logs.files import LogFileError, is_rotated


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done, or would be."""

    compressed: tuple[Path, ...]
    removed: tuple[Path, ...]
    freed_bytes: int


def keep(files: Iterable[Path], now_s: float, compress_after_s: float, remove_after_s: float, dry_run: bool = False) -> Kept:
    """By the time of the last change. A file is replaced by its compressed copy only when that is whole on disk. Raises LogFileError."""
    compressed, removed, freed = [], [], 0
    for path in sorted(file for file in files if is_rotated(file) and not file.is_symlink()):
        try:
            status = path.stat()
            age_s = now_s - status.st_mtime
            if age_s > remove_after_s:
                removed.append(path)
                freed += status.st_size
                if not dry_run:
                    path.unlink()
            elif age_s > compress_after_s and path.suffix != ".gz":
                compressed.append(path)
                freed += 0 if dry_run else status.st_size - _compress(path, status)
        except OSError as error:
            raise LogFileError(f"{path}: {error.strerror}") from error
    return Kept(tuple(compressed), tuple(removed), freed)


def _compress(path: Path, status: os.stat_result) -> int:
    """Size of the compressed file, which takes the place, the times and the permissions of the other."""
    target, part = path.with_name(f"{path.name}.gz"), path.with_name(f".{path.name}.gz.part")
    if target.exists():
        raise LogFileError(f"{target}: is there already; remove it, or {path}")
    try:
        with path.open("rb") as source, part.open("xb") as file:
            with gzip.GzipFile(path.name, "wb", fileobj=file, mtime=status.st_mtime) as packed:
                shutil.copyfileobj(source, packed)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(status.st_mode & 0o777)
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    path.unlink()
    return target.stat().st_size
