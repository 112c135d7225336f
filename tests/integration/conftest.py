"""Real databases for the tests of the reference stack: one PostgreSQL per session, a database and a Valkey per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backends import Postgres, Valkey

_DATABASE_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Not below pytest's own temporary folder: that one is closed to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-test-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """The server, running; a test may stop or kill it, it is started again afterwards."""
    yield postgres_server
    postgres_server.stop()
    postgres_server.start()


@pytest.fixture
def database_url(postgres_server: Postgres) -> str:
    """An empty database of its own."""
    return postgres_server.create_database(f"test_{next(_DATABASE_NUMBERS)}")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """An empty server of its own, running."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = Valkey(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
