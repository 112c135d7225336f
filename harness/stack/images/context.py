"""What an image is built from: a tar archive, whose members say nothing of who made it and when."""

from __future__ import annotations

import io
import marshal
import os
import tarfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""The flags of a compiled file that is right whatever became of its source (PEP 552)."""
_BATCH = 64


class Context:
    """Collects files; `archive` is the finished tar."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.GNU_FORMAT)
        self._sources: dict[str, tuple[Path, str]] = {}

    def add(self, name: str, path: Path) -> None:
        """A file or a link, as `name` in the context."""
        member = tarfile.TarInfo(name)
        if path.is_symlink():
            member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
            self._tar.addfile(member)
            return
        self._write(member, path.read_bytes(), executable=bool(path.stat().st_mode & 0o111))

    def add_compiled(self, name: str, path: Path, runs_as: str) -> None:
        """A Python source as bytecode, in its source's place; `runs_as` is its path in the image. One that cannot be compiled stays a source."""
        self._sources[name] = (path, runs_as)

    def archive(self) -> bytes:
        """Every member that was added."""
        pending = sorted(self._sources.items())
        batches = [pending[start : start + _BATCH] for start in range(0, len(pending), _BATCH)]
        with ProcessPoolExecutor() as workers:
            for batch, compiled in zip(batches, workers.map(_compile_all, batches), strict=True):
                for (name, (path, _)), code in zip(batch, compiled, strict=True):
                    if code is None:
                        self.add(name, path)
                    else:
                        self._write(tarfile.TarInfo(f"{name}c"), code, executable=False)
        self._tar.close()
        return self._buffer.getvalue()

    def _write(self, member: tarfile.TarInfo, content: bytes, executable: bool) -> None:
        member.size, member.mode = len(content), 0o755 if executable else 0o644
        self._tar.addfile(member, io.BytesIO(content))


def _compile_all(batch: Iterable[tuple[str, tuple[Path, str]]]) -> list[bytes | None]:
    return [_compiled(path, runs_as) for _, (path, runs_as) in batch]


def _compiled(path: Path, runs_as: str) -> bytes | None:
    source = path.read_bytes()
    try:
        code = compile(source, runs_as, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # templates and examples of libraries
        return None
    return MAGIC_NUMBER + _UNCHECKED_HASH + source_hash(source) + marshal.dumps(code)
