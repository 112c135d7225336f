"""Recorded traffic: how long answers took, and how long they were.

Formats: `azure` (CSV with `TIMESTAMP,ContextTokens,GeneratedTokens`), `burstgpt` (CSV with `Request tokens`, `Response tokens` and, in its
newer edition, `Elapsed time` in seconds), `mooncake` (JSON lines with
`input_length`, `output_length`), `csv` (any, with a named column). All give lengths, but only a column of times gives times.
Of formats that name the column of lengths, a row whose answer has no token is a failed call and left out.
"""

import csv
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from mocks.common.checks import ProfileError, members, text

MOST_ROWS = 1_000_000
"""Further rows are not read: 4 bytes each are kept."""

_KEYS = frozenset({"file", "format", "column", "unit"})
_LENGTHS = {"azure": "GeneratedTokens", "burstgpt": "Response tokens", "mooncake": "output_length"}
_ELAPSED = "Elapsed time"
_TO_MS = {"ms": 1.0, "s": 1_000.0}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Trace:
    file: Path
    format: str
    column: str | None
    to_ms: float
    key: str

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Line numbers and rows. Raises ProfileError."""
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as lines:
                yield from islice(_json_rows(lines) if self.format == "mooncake" else enumerate(csv.DictReader(lines), start=2), MOST_ROWS)
        except (OSError, ValueError, csv.Error) as error:
            raise ProfileError(f"{self.key}: cannot read the trace {self.file}: {error}") from error

    def answered(self) -> Iterator[tuple[int, Row]]:
        """The rows whose answer has tokens: whatever is read of a trace, so that its columns stay side by side. Raises ProfileError."""
        column = _LENGTHS.get(self.format)
        return ((number, row) for number, row in self.rows() if column is None or int(self.value(number, row, column)) > 0)

    def value(self, number: int, row: Row, column: str) -> float:
        """A number of that row, not negative. Raises ProfileError."""
        if column not in row:
            raise ProfileError(f"{self.key}: {self.file} has no column {column!r}; it has {', '.join(map(str, row))}")
        try:
            value = float(row[column])
        except (TypeError, ValueError):
            value = -1.0
        if not 0 <= value < 1e9:
            raise ProfileError(f"{self.key}: {self.file}, line {number}: {column} must be a number of at least 0, not {row[column]!r}")
        return value


def latencies_ms(document: object, key: str, folder: Path) -> "array[float]":
    """The times of a trace, milliseconds.

    Of the column that is named; else, of `burstgpt`, the elapsed time divided by the tokens of the response, which is a pace, hence
    good for `itl` alone. Raises ProfileError.
    """
    trace = _parse(document, key, folder)
    if trace.column is not None:
        return _filled(trace, (trace.to_ms * trace.value(number, row, trace.column) for number, row in trace.answered()))
    if trace.format != "burstgpt":
        raise ProfileError(f"{key}: a trace of format {trace.format} records no times; name the column that does with `column`")
    if not key.startswith("latency.itl"):
        raise ProfileError(f"{key}: burstgpt records whole calls, whose pace is good for latency.itl alone; name another with `column`")
    return _filled(trace, _paces_ms(trace))


def lengths(document: object, key: str, folder: Path) -> "array[int]":
    """How many tokens each answer of a trace had, failed calls left out. Raises ProfileError."""
    trace = _parse(document, key, folder)
    column = trace.column or _LENGTHS.get(trace.format)
    if column is None:
        raise ProfileError(f"{key}: a trace of format csv must name the `column` that counts tokens")
    counts = (int(trace.value(number, row, column)) for number, row in trace.answered())
    found = array("I", (count for count in counts if count > 0))
    if not found:
        raise ProfileError(f"{key}: {trace.file} has no row with an answer")
    return found


def _paces_ms(trace: _Trace) -> Iterator[float]:
    for number, row in trace.answered():
        yield 1_000 * trace.value(number, row, _ELAPSED) / trace.value(number, row, _LENGTHS["burstgpt"])


def _filled(trace: _Trace, values: Iterator[float]) -> "array[float]":
    found = array("f", values)
    if not found:
        raise ProfileError(f"{trace.key}: {trace.file} has no rows")
    return found


def _parse(document: object, key: str, folder: Path) -> _Trace:
    given = members(document, key, _KEYS)
    kind = given.get("format", "csv")
    if kind not in (*_LENGTHS, "csv"):
        raise ProfileError(f"{key}.format must be one of {', '.join(_LENGTHS)}, csv; not {kind!r}")
    unit = given.get("unit", "ms")
    if unit not in _TO_MS:
        raise ProfileError(f"{key}.unit must be ms or s, not {unit!r}")
    column = text(given["column"], f"{key}.column") if "column" in given else None
    return _Trace(folder / text(given.get("file"), f"{key}.file"), kind, column, _TO_MS[unit], key)


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = orjson.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            yield number, row
