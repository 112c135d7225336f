"""The two embedded engines: how PostgreSQL and Valkey are prepared, started and asked whether they work.

A temporary database: `fsync` is off, because what it protects against is a crash of the operating system. When PostgreSQL's processes
are killed, everything they wrote is in the kernel's page cache already, so no committed row is lost (`synchronous_commit` stays on:
the write itself still happens before the commit is acknowledged). The same holds for Valkey's append-only file with `everysec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
import redis

from harness.stack.base import StackError
from harness.stack.binaries import find_postgres, find_valkey
from harness.stack.child import Command
from harness.stack.ports import LOOPBACK
from harness.stack.unprivileged import Account, choose_account

INITDB_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 1.0

_POSTGRES_SETTINGS: Mapping[str, str] = {
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


class Engine(Protocol):
    """A database server among the embedded processes."""

    @property
    def version(self) -> str: ...

    def prepare(self) -> None:
        """Make its data, once, before the first start. Raises StackError."""
        ...

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        """How to start it."""
        ...

    def url(self, port: int) -> str:
        """Where its clients connect to."""
        ...

    def probe(self, url: str) -> str | None:
        """Ask it something: None when it answers rightly, else the reason. Takes at most about a second."""
        ...


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster of its own in `folder`, with the one superuser `postgres` and no password, on loopback only."""

    folder: Path
    account: Account
    version: str

    @classmethod
    def find(cls, folder: Path) -> Postgres:
        """Find binaries that can be run in `folder` (made here). Raises StackError."""
        folder.mkdir(mode=0o755)
        account = choose_account(find_postgres(), folder)
        result = account.run([account.install.postgres, "--version"], folder, INITDB_TIMEOUT_S)
        return cls(folder, account, version=result.stdout.split()[2])

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        self._data.mkdir(mode=0o700)
        self.account.own(self._data)
        options = ("-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
        result = self.account.run([self.account.install.initdb, "-D", self._data, *options], self._data, INITDB_TIMEOUT_S)
        if result.returncode != 0:
            raise StackError(f"initdb failed (as {self.account.rung}): {result.stderr.strip() or result.stdout.strip()}")

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        # no Unix socket: its path may be at most 107 bytes long, and a work directory need not be short
        listen = ("-D", str(self._data), "-h", LOOPBACK, "-p", str(port), "-k", "")
        settings = (part for name, value in _POSTGRES_SETTINGS.items() if self._knows(name) for part in ("-c", f"{name}={value}"))
        return Command(
            argv=(*self.account.prefix, str(self.account.install.postgres), *listen, *settings),
            env={**env, "LC_ALL": "C"},
            cwd=self._data,
            log=log,
            uid=self.account.uid,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, then stop; SIGTERM would wait for every client to leave
        )

    def _knows(self, setting: str) -> bool:
        return setting != "io_method" or int(self.version.partition(".")[0]) >= 18

    def url(self, port: int) -> str:
        return f"postgresql://postgres@{LOOPBACK}:{port}/postgres"

    def probe(self, url: str) -> str | None:
        # asyncio for its deadline: libpq rounds a connect_timeout up to two seconds, and a paused server accepts but never answers
        try:
            return asyncio.run(asyncio.wait_for(_select_one(url), PROBE_TIMEOUT_S))
        except TimeoutError:
            return f"no answer within {PROBE_TIMEOUT_S:g} s"
        except (psycopg.Error, OSError) as error:
            return str(error).strip() or type(error).__name__


@dataclass(frozen=True, slots=True)
class Valkey:
    """A cache and stream server in `folder`, which a killed process comes back from with what it acknowledged."""

    folder: Path
    binary: Path
    version: str

    @classmethod
    def find(cls, folder: Path) -> Valkey:
        """Find the binary. Raises StackError."""
        folder.mkdir(mode=0o700)
        binary = find_valkey()
        return cls(folder, binary, version=_valkey_version(binary))

    def prepare(self) -> None:
        """Nothing: an empty folder is an empty database."""

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        persistence = ("--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
        return Command(
            argv=(str(self.binary), "--bind", LOOPBACK, "--port", str(port), "--maxmemory", "0", *persistence),
            env=env,
            cwd=self.folder,
            log=log,
        )

    def url(self, port: int) -> str:
        return f"redis://{LOOPBACK}:{port}/0"

    def probe(self, url: str) -> str | None:
        client = redis.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S, retry=None)
        with contextlib.closing(client):
            try:
                return None if client.ping() else "PING was not answered with PONG"
            except redis.RedisError as error:
                return f"{type(error).__name__}: {error}"


async def _select_one(url: str) -> str | None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT 1")).fetchone()
    return None if row == (1,) else f"SELECT 1 returned {row}"


def _valkey_version(binary: Path) -> str:
    """From `Valkey server v=9.1.2 sha=…` or `Redis server v=7.0.15 sha=…`."""
    try:
        result = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S * 5)
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{binary} does not start: {error}") from error
    if (match := re.search(r"v=(\S+)", result.stdout)) is None:
        raise StackError(f"{binary} does not start: {result.stderr.strip() or result.stdout.strip()}")
    return match[1]
