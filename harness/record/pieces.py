"""Requests of a run, read piece by piece: ten million of them are judged in the memory of one column.

    for rows in history.in_phase("fault").pieces():      # structured arrays of at most PIECE_ROWS rows, every column
        slow += np.count_nonzero(rows["end_ns"] - rows["intended_ns"] > limit_ns)
    history.in_phase("fault")["end_ns"]                  # one whole column: 8 bytes a request
    history.in_phase("fault").gather(latency_of, np.int64)

What is computed from one row alone belongs into the first form; what needs all values at once (an exact percentile) into the last two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from harness.record.frames import joined
from harness.record.requests import REQUEST_DTYPE

PIECE_ROWS = 16_384  # about 2 MB: the temporaries of a scorer stay in the processor's cache

Rows = NDArray[Any]  # rows of `REQUEST`, in memory
Change = Callable[[Rows], Rows]
Interval = tuple[int, int] | None  # [start_ns, end_ns) of intended starts; None for all


class Source(Protocol):
    """Where requests are kept."""

    def count(self, interval: Interval) -> int:
        """How many there are."""
        ...

    def pieces(self, interval: Interval) -> Iterator[Rows]:
        """Exactly those, in the order of the record; not to be written to."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """A `Source` over one array: histories written by hand."""

    rows: Rows

    def count(self, interval: Interval) -> int:
        return len(self.rows) if interval is None else int(np.count_nonzero(inside(self.rows, interval)))

    def pieces(self, interval: Interval) -> Iterator[Rows]:
        for start in range(0, len(self.rows), PIECE_ROWS):
            piece = self.rows[start : start + PIECE_ROWS]
            yield piece if interval is None else piece[inside(piece, interval)]


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests of a run, or a part of them. Immutable; nothing is read before it is asked for."""

    source: Source
    interval: Interval = None
    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, rows: Rows) -> Requests:
        """Rows that are in memory already."""
        return cls(InMemory(rows))

    def between(self, start_ns: int, end_ns: int) -> Requests:
        """Those whose intended start lies in [start_ns, end_ns); before any `through`."""
        if self.interval is not None:
            start_ns, end_ns = max(start_ns, self.interval[0]), min(end_ns, self.interval[1])
        return replace(self, interval=(start_ns, end_ns))

    def through(self, change: Change) -> Requests:
        """The same, each piece passed through `change`: a function of each row alone, that may leave rows out or give a changed copy."""
        return replace(self, changes=(*self.changes, change))

    @property
    def most(self) -> int:
        """At least how many there are; exact as long as nothing goes `through` a change."""
        return self.source.count(self.interval)

    def __len__(self) -> int:
        return sum(len(piece) for piece in self.pieces()) if self.changes else self.most

    def pieces(self) -> Iterator[Rows]:
        """All of them, at most `PIECE_ROWS` at a time, in the order of the record (nearly that of their ends). Not to be written to."""
        for piece in self.source.pieces(self.interval):
            for change in self.changes:
                piece = change(piece)
            if len(piece):
                yield piece

    def gather(self, read: Callable[[Rows], NDArray[Any]], dtype: DTypeLike, shape: Sequence[int] = ()) -> NDArray[Any]:
        """What `read` makes of each piece, one after the other: one value (of that shape) a row that it keeps."""
        found = np.empty((self.most, *shape), dtype=dtype)
        filled = 0
        for piece in self.pieces():
            values = read(piece)
            found[filled : filled + len(values)] = values
            filled += len(values)
        return found[:filled]

    def __getitem__(self, column: str) -> NDArray[Any]:
        """One whole column, in the order of the record. Raises KeyError for one that there is not."""
        dtype = REQUEST_DTYPE[column]
        base, shape = dtype.subdtype or (dtype, ())
        return self.gather(lambda rows: rows[column], base, shape)

    def rows(self) -> Rows:
        """All columns of all rows at once, as an array of one's own. For small runs: it costs 140 bytes a request."""
        return joined(list(self.pieces()), REQUEST_DTYPE)


def inside(rows: Rows, interval: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask of the rows whose intended start lies in [start_ns, end_ns)."""
    intended = rows["intended_ns"]
    mask: NDArray[np.bool_] = (intended >= interval[0]) & (intended < interval[1])
    return mask
