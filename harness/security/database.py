"""A database of advisories, read from a folder, an archive, or an address that serves one.

Either with a `snapshot.json` (`{"taken": "2026-11-30", "covers": "all" | [package, …]}`), where `covers` names the packages whose
advisories are all there: of any other package, nothing found proves nothing. Or without, as OSV exports a whole ecosystem (`PyPI/all.zip`,
one JSON document an advisory, google.github.io/osv.dev/data): then the newest `modified` among its records says of which day it is.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from packaging.utils import canonicalize_name

from harness.security.advisories import ECOSYSTEM, Database, packages_of

MAX_FILES = 500_000
MAX_RECORD_BYTES = 16 << 20
MAX_DOWNLOAD_BYTES = 1 << 30
TIMEOUT_S = 60.0
WHOLE_PACKAGES = 1000
"""Fewer are no export of PyPI, which has advisories of many thousands."""
_ABOUT = "snapshot.json"


class DatabaseError(ValueError):
    """There is no database, or none that can be read."""


def load(place: str | Path, wanted: Collection[str] | None = None) -> Database:
    """By a path or an http(s) address; of the wanted packages alone, where they are named. Raises DatabaseError."""
    names = None if wanted is None else {canonicalize_name(name) for name in wanted}
    if isinstance(place, str) and place.startswith(("http://", "https://")):
        with _fetched(place) as archive:
            return _read(place, _in_archive(place, archive), names)
    path = Path(place)
    if path.is_dir():
        return _read(str(path), _in_folder(path), names)
    if path.is_file():
        return _read(str(path), _in_archive(str(path), path), names)
    raise DatabaseError(f"{path}: no such folder or archive")


def _read(place: str, documents: Iterator[tuple[str, bytes]], wanted: Collection[str] | None) -> Database:
    about: Mapping[str, Any] | None = None
    by_package: dict[str, list[Mapping[str, Any]]] = {}
    seen: set[str] = set()
    newest = ""
    for number, (name, content) in enumerate(documents):
        if number > MAX_FILES:
            raise DatabaseError(f"{place}: more than {MAX_FILES} advisories")
        try:
            document = json.loads(content)
            if name == _ABOUT:
                about = document
                continue
            packages, _ = packages_of(document), str(document["id"])
            modified = str(document.get("modified", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatabaseError(f"{place}: {name}: no advisory in the OSV format: {type(error).__name__}: {error}") from error
        seen |= packages
        newest = max(newest, modified)
        for package in packages if "withdrawn" not in document else ():
            if wanted is None or package in wanted:
                by_package.setdefault(package, []).append(document)
    taken, covers = _exported(place, seen, newest) if about is None else _told(place, about)
    return Database(taken, covers, by_package)


def _told(place: str, about: Mapping[str, Any]) -> tuple[date, frozenset[str] | None]:
    try:
        covers = None if about["covers"] == "all" else frozenset(canonicalize_name(name) for name in about["covers"])
        return date.fromisoformat(about["taken"]), covers
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{place}: {_ABOUT}: {type(error).__name__}: {error}") from error


def _exported(place: str, packages: Collection[str], newest: str) -> tuple[date, None]:
    """A few advisories that nobody vouches for must not count as all that there are."""
    if len(packages) < WHOLE_PACKAGES:
        raise DatabaseError(
            f"{place}: advisories of {len(packages)} packages of {ECOSYSTEM}, and no {_ABOUT} that says which it covers:"
            f" an export of {ECOSYSTEM} has some of more than {WHOLE_PACKAGES}"
        )
    try:
        return date.fromisoformat(newest[:10]), None
    except ValueError as error:
        raise DatabaseError(f"{place}: no record says when it was modified, and no {_ABOUT} of which day it is") from error


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*.json")):
        try:
            yield str(path.relative_to(folder)), path.read_bytes()
        except OSError as error:
            raise DatabaseError(f"{path}: {error}") from error


def _in_archive(place: str, archive: Path | IO[bytes]) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(archive) as files:
            for member in files.infolist():
                if member.filename.endswith(".json"):
                    if member.file_size > MAX_RECORD_BYTES:
                        raise DatabaseError(f"{place}: {member.filename}: larger than {MAX_RECORD_BYTES} bytes")
                    yield member.filename, files.read(member)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DatabaseError(f"{place}: no archive that can be read: {error}") from error


@contextmanager
def _fetched(url: str) -> Iterator[IO[bytes]]:
    """The content of an address, in a file that is nowhere to be seen. Raises DatabaseError."""
    import httpx

    with TemporaryFile() as kept:
        try:
            with httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_S) as response:
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    kept.write(chunk)
                    if kept.tell() > MAX_DOWNLOAD_BYTES:
                        raise DatabaseError(f"{url}: larger than {MAX_DOWNLOAD_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DatabaseError(f"{url}: {str(error) or type(error).__name__}") from error
        kept.seek(0)
        yield kept
