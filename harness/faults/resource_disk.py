"""A full disk: the file system that the data of a server lie on has no room left."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field

from harness.faults.base import Context, Evidence, FaultError, Target, capability
from harness.faults.cache_client import client_of
from harness.faults.database_client import open_session
from harness.faults.names import fresh_name
from harness.faults.process import InstanceFault
from harness.lazy import Lazy
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import StackError, Volumed

if TYPE_CHECKING:
    import psycopg
    import redis
else:
    psycopg = Lazy("psycopg")
    redis = Lazy("redis")

KB = 1 << 10
TRIAL_BYTES = 512 * KB
KEPT_MS = 200
_PAGE = 4 * KB


class DiskFullParameters(FaultParameters):
    """Parameters of `resource.disk_full`."""

    left_kb: int = Field(default=0, description="how much room is left", ge=0, le=256, json_schema_extra={"unit": "kB"})


class DiskFull(InstanceFault[DiskFullParameters]):
    """A ballast file fills the file system. It is one of the run's own, in memory: the machine's disks are not touched."""

    spec = FaultSpec(
        name="resource.disk_full",
        summary="Fills the file system that the data of a database or cache lie on (a small one of its own): writes fail, reads go on.",
        kind="disk",
        parameters=DiskFullParameters,
        targets=("service", "instance"),
        needs=("Volumed", "Restartable"),
        evidence="a write of the harness's own is refused for want of room, or because the last one was; gone: it is carried out",
        example="{id: no-room, type: resource.disk_full, target: postgres, at: fault, for: 30s}",
        recoverable_by=(),  # nothing that can be done to services makes room
        only_roles=("postgres", "redis"),
    )

    def __init__(self, target: Target, parameters: DiskFullParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.word = fresh_name(context)

    def inject(self) -> None:
        folder = self._volume() / self.word
        folder.mkdir(exist_ok=True)
        ballast = folder / "batch"
        try:
            with ballast.open("ab") as file:
                fill(file.fileno(), lambda: _free_bytes(folder) - self.parameters.left_kb * KB)
        except OSError as error:
            raise FaultError(f"filling {folder}: {error.strerror}") from error

    def verify(self) -> Evidence | None:
        refused = self._refused()
        if refused is None:
            return None
        return {"instance": self.name, "free_kb": _free_bytes(self._volume()) // KB, "write": refused}

    def heal(self) -> None:
        shutil.rmtree(self._volume() / self.word, ignore_errors=True)
        self.restart_unless_ready()  # a server that cannot write its log may have given up

    def gone(self) -> Evidence | None:
        ready = self.ready()
        free_kb = _free_bytes(self._volume()) // KB
        if ready is None or free_kb * KB < TRIAL_BYTES or self._refused() is not None:
            return None
        return {**ready, "free_kb": free_kb}

    def _volume(self) -> Path:
        try:
            return capability(self.context.stack, Volumed).volume(self.name)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _refused(self) -> str | None:
        """Why a write is refused; None where it is carried out. Raises FaultError where that cannot be asked."""
        url = self.instance().url
        return _refused_by_database(url) if urlsplit(url).scheme.startswith("postgres") else _refused_by_cache(url, self.word)


def _refused_by_database(dsn: str) -> str | None:
    try:
        with open_session(dsn) as session:  # what is written goes with the session
            session.execute("CREATE TEMPORARY TABLE batch AS SELECT repeat(md5(n::text), 32) AS text FROM generate_series(1, 500) AS n")
    except psycopg.errors.DiskFull as error:
        return str(error).strip()
    except psycopg.Error as error:
        raise FaultError(f"the database: {type(error).__name__}: {str(error).strip()}") from error
    return None


def _refused_by_cache(url: str, word: str) -> str | None:
    client = client_of(url, None)
    try:
        client.set(word, os.urandom(TRIAL_BYTES), px=KEPT_MS)
    except redis.ResponseError as error:
        if "No space left" in str(error) or str(error).startswith("MISCONF"):
            return str(error)
        raise FaultError(f"the cache: {error}") from error
    except redis.RedisError as error:
        raise FaultError(f"the cache: {type(error).__name__}: {error}") from error
    finally:
        client.close()
    return None


def fill(ballast: int, room: Callable[[], int]) -> None:
    """Grow the file of that descriptor until there is no room. Others write meanwhile, and take what was free: then it grows by less.

    Raises OSError where it cannot grow for another reason.
    """
    piece = room()
    while (left := room()) > 0 and piece >= _PAGE:
        try:
            os.posix_fallocate(ballast, os.fstat(ballast).st_size, min(piece, left))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            piece //= 2


def _free_bytes(folder: Path) -> int:
    usage = os.statvfs(folder)
    return usage.f_bavail * usage.f_frsize


FAULTS = (DiskFull,)
