"""What an environment holds, saved: a dump of its database, vectors and all, with the proof of what is in it.

Dump and proof are of one snapshot (PostgreSQL, 9.28.5, "Snapshot Synchronization Functions"), so that writers who go on meanwhile make no
difference.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from harness.deploy.site import Site
from harness.record.clock import wall_anchor
from harness.stack.base import StackError
from harness.stack.binaries import find_postgres

_TOOL_S = 300.0
_PROOF = """
SELECT count(*),
       coalesce(md5(string_agg(doc_id || ':' || revision || ':' || md5(text), ',' ORDER BY doc_id)), ''),
       extract(epoch FROM max(updated_at)),
       (SELECT count(*) FROM chunks),
       (SELECT coalesce(md5(string_agg(chunk_id || ':' || md5(text), ',' ORDER BY chunk_id)), '') FROM chunks)
FROM documents
"""
DUMP = "database.dump"
MANIFEST = "manifest.json"


class BackupError(RuntimeError):
    """A backup that cannot be made or used; the message says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds, by which two are told apart."""

    documents: int
    documents_digest: str
    newest_s: float | None  # Unix time of the last change
    chunks: int
    chunks_digest: str

    def same_as(self, other: Contents) -> bool:
        """Whether every document and every piece of one is the same."""
        one, two = asdict(self), asdict(other)
        del one["newest_s"], two["newest_s"]
        return one == two


@dataclass(frozen=True, slots=True)
class Backup:
    """One, on disk."""

    folder: Path
    site: str
    version: str
    config_id: str
    taken: str  # UTC
    taken_s: float  # Unix time, by the database's clock
    contents: Contents
    sha256: str

    @property
    def dump(self) -> Path:
        return self.folder / DUMP

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """Raises BackupError for one that is not there, or not whole."""
        try:
            document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            backup = cls(folder, **{**document, "contents": Contents(**document["contents"])})
            found = _sha256(backup.dump)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{folder}: no backup: {error}") from error
        if found != backup.sha256:
            raise BackupError(f"{backup.dump}: not the dump that was made; it was changed, or cut, afterwards")
        return backup


def back_up(site: Site, folder: Path, config: dict[str, Any], config_id: str) -> Backup:
    """Save what the serving version of a site holds, and the configuration. Raises BackupError, or SiteError where nothing stands."""
    side = site.side(site.serving)
    if side is None:
        raise BackupError(f"{site.name}: nothing that serves stands")
    dsn = database_of(side.database)
    folder.mkdir(parents=True)
    try:
        with psycopg.connect(dsn) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            (snapshot, taken_s) = _row(connection, "SELECT pg_export_snapshot(), extract(epoch FROM now())")
            contents = contents_of(connection)
            run_tool("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={folder / DUMP}", f"--dbname={dsn}")
    except psycopg.Error as error:
        raise BackupError(f"the database: {str(error).strip()}") from error
    (folder / DUMP).chmod(0o600)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
    backup = Backup(folder, site.name, side.version, config_id, wall_anchor().utc, float(taken_s), contents, _sha256(folder / DUMP))
    document = {name: value for name, value in asdict(backup).items() if name != "folder"}
    (folder / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")
    return backup


def contents_of(connection: psycopg.Connection[Any]) -> Contents:
    """Raises psycopg.Error where there are no such tables."""
    documents, documents_digest, newest, chunks, chunks_digest = _row(connection, _PROOF)
    return Contents(int(documents), str(documents_digest), float(newest) if newest is not None else None, int(chunks), str(chunks_digest))


def database_of(dsn: str | None) -> str:
    """Raises BackupError where vectors are elsewhere: a dump of the database would be half of what there is."""
    if dsn is None:
        raise BackupError("the vectors are in a store of their own, which is not saved yet; only `vector_store: pgvector` is")
    return dsn


def run_tool(name: str, *arguments: str) -> None:
    """One of PostgreSQL's own, of the version of the server. Raises BackupError with its last words."""
    try:
        program = find_postgres().bin / name
    except StackError as error:
        raise BackupError(str(error)) from error
    if not program.is_file():
        raise BackupError(f"{name} is not beside the server that the stack runs ({program.parent})")
    done = subprocess.run(
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TOOL_S,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise BackupError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def _row(connection: psycopg.Connection[Any], statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None, "an aggregate has one row"
    return tuple(row)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
