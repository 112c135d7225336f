"""Which files a log consists of, and their lines: the one being written, and those that rotation put aside, compressed or not."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.telemetry.logs import LogLine, line_of

_ROTATED = re.compile(r"^(?P<log>.+?\.(?:log|jsonl|out|json))(?:[.-](?P<mark>\d[\dTZ:_-]*))?(?P<packed>\.gz)?$")
LONGEST_LINE = 64 * 1024


class LogFileError(ValueError):
    """A path that holds no log; the message says what to give instead."""


def found(paths: Sequence[Path]) -> list[Path]:
    """Every log below the paths, the rotated ones too, sorted; a file that is named itself counts whatever it is called.

    Raises LogFileError for a path that is not there, and where nothing is found.
    """
    files: set[Path] = set()
    for path in paths:
        if path.is_dir():
            files |= {file for file in path.rglob("*") if file.is_file() and _ROTATED.match(file.name)}
        elif path.is_file():
            files |= {path, *(file for file in path.parent.glob(f"{path.name}*") if file.is_file() and is_rotated(file))}
        else:
            raise LogFileError(f"{path}: there is no such file or folder")
    if not files:
        where = ", ".join(map(str, paths))
        raise LogFileError(f"{where}: no log there; logs are called *.log, *.jsonl, *.out or *.json, rotated ones *.log.1.gz")
    return sorted(files)


def is_rotated(path: Path) -> bool:
    """Was it put aside: app.log.1, app.log-20261130, app.log.2.gz."""
    match = _ROTATED.match(path.name)
    return match is not None and (match["mark"] is not None or match["packed"] is not None)


def lines(path: Path) -> Iterator[LogLine]:
    """Every line, in order, in bounded memory; what of a file is cut or no gzip ends it. Raises LogFileError where it cannot be read."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                if line.strip():
                    yield line_of(line.rstrip(b"\n"))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise LogFileError(f"{path}: cannot be read: {error.strerror or error}") from error
