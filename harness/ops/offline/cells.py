"""Cells of a table: numbers, times, and the one error for what is neither."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})
# Beside ISO 8601 and plain numbers; which of day and month comes first does not matter for what is asked of a time here.
_FORMATS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%m/%d/%Y")
_LARGEST = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # beyond the first, a number counts so many units a second


class TableError(ValueError):
    """A file that cannot be used: where (`file:line`), what, and what to write instead."""


def number(text: str) -> float:
    """A number; NaN where it is missing. Raises ValueError."""
    cell = text.strip()
    if cell.lower() in MISSING:
        return math.nan
    value = float(cell.replace("_", "x"))  # Python's own digit groups are no numbers elsewhere
    return value if math.isfinite(value) else math.nan


def seconds(text: str) -> float:
    """Seconds since the epoch, or any other count. Numbers in milli-, micro- and nanoseconds of our time are told by their size.

    A date without a zone is taken as UTC. Raises ValueError.
    """
    cell = text.strip()
    try:
        value = float(cell)
    except ValueError:
        return _date(cell)
    if not math.isfinite(value):
        raise ValueError(cell)
    return next((value / units for size, units in _LARGEST if abs(value) >= size), value)


def _date(cell: str) -> float:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        moment = _other_date(cell)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _other_date(cell: str) -> datetime:
    for form in _FORMATS:
        try:
            return datetime.strptime(cell, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(cell)


def index_of(path: Path, header: Sequence[str], column: str) -> int:
    """Where a column stands; exactly one may have the name."""
    places = [i for i, name in enumerate(header) if name == column]
    if len(places) == 1:
        return places[0]
    if places:
        raise TableError(f"{path}:1: {len(places)} columns are named {column!r}; rename all but one")
    close = difflib.get_close_matches(column, header, n=1)
    instead = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(header[:12])}{' …' if len(header) > 12 else ''}"
    raise TableError(f"{path}:1: there is no column {column!r}; {instead}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong while a file is opened and decoded, as a TableError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: is no UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
