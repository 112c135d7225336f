"""The embedded PostgreSQL: how it is prepared, started and asked whether it works.

A temporary database: `fsync` is off, because what it protects against is a crash of the operating system. When PostgreSQL's processes
are killed, everything they wrote is in the kernel's page cache already, so no committed row is lost (`synchronous_commit` stays on:
the write itself still happens before the commit is acknowledged).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from harness.stack.base import StackError
from harness.stack.binaries import find_postgres
from harness.stack.child import Command
from harness.stack.engines import PROBE_TIMEOUT_S
from harness.stack.ports import LOOPBACK
from harness.stack.unprivileged import Account, choose_account

INITDB_TIMEOUT_S = 60.0

SETTINGS: Mapping[str, str] = {
    "dynamic_shared_memory_type": "mmap",  # files in the data folder, which goes with it: one that is killed leaves nothing in /dev/shm
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",  # three services with two replicas and a few more, each with a pool
    "shared_buffers": "64MB",
    "jit": "off",
    "io_method": "sync",  # no worker processes of its own for a database that fits into memory
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster of its own in `folder`, with the one superuser `postgres` and no password, on loopback only."""

    folder: Path
    account: Account
    version: str

    @classmethod
    def find(cls, folder: Path) -> Postgres:
        """Find binaries that can be run in `folder` (made here). Raises StackError."""
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask: its user must be able to enter
        account = choose_account(find_postgres(), folder)
        result = account.run([account.install.postgres, "--version"], folder, INITDB_TIMEOUT_S)
        return cls(folder, account, version=result.stdout.split()[2])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.account.own(self.data)
        options: tuple[str, ...] = ("-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
        if self._major >= 16:  # older ones cannot be told; they leave shared memory behind when they are ended while they prepare
            options = (*options, "-c", f"dynamic_shared_memory_type={SETTINGS['dynamic_shared_memory_type']}")
        result = self.account.run([self.account.install.initdb, "-D", self.data, *options], self.data, INITDB_TIMEOUT_S)
        if result.returncode != 0:
            raise StackError(f"initdb failed (as {self.account.rung}): {result.stderr.strip() or result.stdout.strip()}")

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        # no Unix socket: its path may be at most 107 bytes long, and a work directory need not be short
        listen = ("-D", str(self.data), "-h", LOOPBACK, "-p", str(port), "-k", "")
        settings = (part for name, value in SETTINGS.items() if self._knows(name) for part in ("-c", f"{name}={value}"))
        return Command(
            argv=(*self.account.prefix, str(self.account.install.postgres), *listen, *settings),
            env={**env, "LC_ALL": "C"},
            cwd=self.data,
            log=log,
            uid=self.account.uid,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, then stop; SIGTERM would wait for every client to leave
        )

    def _knows(self, setting: str) -> bool:
        return setting != "io_method" or self._major >= 18

    @property
    def _major(self) -> int:
        return int(self.version.partition(".")[0])

    def url(self, port: int) -> str:
        return url(LOOPBACK, port)

    def probe(self, url: str) -> str | None:
        return probe(url)


def url(host: str, port: int) -> str:
    """Where clients connect to."""
    return f"postgresql://postgres@{host}:{port}/postgres"


def probe(url: str) -> str | None:
    """Ask it something: None when it answers rightly, else the reason. Takes at most about a second."""
    # asyncio for its deadline: libpq rounds a connect_timeout up to two seconds, and a paused server accepts but never answers
    try:
        return asyncio.run(asyncio.wait_for(_select_one(url), PROBE_TIMEOUT_S))
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    except (psycopg.Error, OSError) as error:
        return str(error).strip() or type(error).__name__


async def _select_one(url: str) -> str | None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT 1")).fetchone()
    return None if row == (1,) else f"SELECT 1 returned {row}"
