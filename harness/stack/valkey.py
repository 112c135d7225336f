"""The embedded Valkey: cache and stream server.

Its append-only file is synced to disk once a second, which protects against a crash of the operating system; when the process is
killed, everything it acknowledged is with the kernel already, so no event is lost.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from harness.stack.base import StackError
from harness.stack.binaries import find_valkey
from harness.stack.child import Command
from harness.stack.engines import PROBE_TIMEOUT_S
from harness.stack.ports import LOOPBACK

PERSISTENCE = ("--maxmemory", "0", "--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
"""Arguments of the server, wherever it runs."""


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

    @property
    def data(self) -> Path:
        return self.folder

    def prepare(self) -> None:
        """Nothing: an empty folder is an empty database."""

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        return Command(
            argv=(str(self.binary), "--bind", LOOPBACK, "--port", str(port), "--dir", str(self.folder), *PERSISTENCE),
            env=env,
            cwd=self.folder,
            log=log,
        )

    def url(self, port: int) -> str:
        return url(LOOPBACK, port)

    def probe(self, url: str) -> str | None:
        return probe(url)


def url(host: str, port: int) -> str:
    """Where clients connect to."""
    return f"redis://{host}:{port}/0"


def probe(url: str) -> str | None:
    """Ask it something: None when it answers rightly, else the reason. Takes at most about a second."""
    client = redis.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S, retry=None)
    with contextlib.closing(client):
        try:
            return None if client.ping() else "PING was not answered with PONG"
        except redis.RedisError as error:
            return f"{type(error).__name__}: {error}"


def _valkey_version(binary: Path) -> str:
    """From `Valkey server v=9.1.2 sha=…` or `Redis server v=7.0.15 sha=…`."""
    try:
        result = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S * 5)
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{binary} does not start: {error}") from error
    if (match := re.search(r"v=(\S+)", result.stdout)) is None:
        raise StackError(f"{binary} does not start: {result.stderr.strip() or result.stdout.strip()}")
    return match[1]
