"""Score columns of a CSV file, row by row: what is written for a row depends on nothing below it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.ops.monitoring.detectors.base import MultivariateDetector
from harness.ops.offline.cells import TableError, index_of, number, readable, seconds

SCORE = "anomaly_score"


@dataclass(frozen=True, slots=True)
class Scored:
    """What was done."""

    rows: int
    missing: int


class _Rows(Protocol):
    def writerow(self, row: Iterable[Any], /) -> Any: ...


def score_file(source: Path, target: Path, timestamp: str, values: Sequence[str], detector: MultivariateDetector) -> Scored:
    """Write `source` with a further column `anomaly_score` to `target`; which is complete, or not there.

    Rows are taken in the order of the file: a timestamp that repeats, goes back or leaves a gap is a row like any other. A value that is
    missing or not finite scores 0, with all of its row. Raises TableError.
    """
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            scored = _copy(source, timestamp, values, detector, csv.writer(out, lineterminator="\n"))
        unfinished.replace(target)
    except OSError as error:
        raise TableError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return scored


def _copy(source: Path, timestamp: str, values: Sequence[str], detector: MultivariateDetector, out: _Rows) -> Scored:
    rows = missing = 0
    lines = _lines(source)
    _, header = next(lines, (1, []))
    if not header:
        raise TableError(f"{source}:1: is empty; the first line names the columns")
    at, of = index_of(source, header, timestamp), [index_of(source, header, value) for value in values]
    if SCORE in header:
        raise TableError(f"{source}:1: has a column {SCORE!r} already; remove it, or name another file")
    out.writerow([*header, SCORE])
    for line, row in lines:
        if len(row) != len(header):
            raise TableError(f"{source}:{line}: {len(row)} fields where the header has {len(header)}")
        t_s, numbers = _cells(source, line, header, row, at, of)
        score = detector.update(t_s, numbers)
        out.writerow([*row, f"{score:.6f}"])
        rows += 1
        missing += any(value != value for value in numbers)
    if not rows:
        raise TableError(f"{source}:2: there are no rows below the header")
    return Scored(rows, missing)


def _cells(source: Path, line: int, header: list[str], row: list[str], at: int, of: list[int]) -> tuple[float, list[float]]:
    try:
        t_s = seconds(row[at])
    except (ValueError, OverflowError):
        raise TableError(f"{source}:{line}: {header[at]} is {row[at]!r}; write a number, or a date such as 2026-01-31 12:00:00") from None
    return t_s, [_number(source, line, header[one], row[one]) for one in of]


def _number(source: Path, line: int, column: str, cell: str) -> float:
    try:
        return number(cell)
    except ValueError:
        raise TableError(f"{source}:{line}: {column} is {cell!r}; write a number, or nothing where it is missing") from None


def _lines(source: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row; blank lines are none."""
    with readable(source), source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            yield from ((reader.line_num, row) for row in reader if row)
        except csv.Error as error:
            raise TableError(f"{source}:{reader.line_num}: {error}") from error
