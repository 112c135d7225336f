"""The journal of a mock: what it was asked and what it answered, in bounded memory."""

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import orjson

ROWS = 10_000
BYTES = 16 * 1024 * 1024


class Sealed(Protocol):
    """A row that does not change any more, and becomes JSON only when it is read: most rows never are, and no request shall wait for it."""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes; always the same."""

    def row(self) -> Mapping[str, Any]:
        """The row, not empty, without its `seq`."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON, oldest first; `next` is the cursor behind them; `lost` rows between the cursor asked for and the first are gone."""

    rows: list[bytes]
    next: int
    lost: int


class Journal:
    """The last rows, at most `rows` of them with `most_bytes`; each gets the next `seq`, from 1."""

    def __init__(self, rows: int = ROWS, most_bytes: int = BYTES) -> None:
        self.id = secrets.token_hex(8)
        """Another for every journal: its sequence begins anew with the process."""
        self._most_rows = rows
        self._most_bytes = most_bytes
        self._rows: deque[Sealed] = deque()
        self._bytes = 0
        self._seq = 0
        self.cleared = 0
        """The `seq` up to which rows were forgotten because somebody asked for it, not for want of room."""
        self._before_reading: Callable[[], None] | None = None

    @property
    def last(self) -> int:
        """The `seq` of the latest row; 0 before the first."""
        self._catch_up()
        return self._seq

    def before_reading(self, callback: Callable[[], None]) -> None:
        """Call back whenever somebody is going to read: who seals rows later than they come about does it then."""
        self._before_reading = callback

    def seal(self, row: Sealed) -> None:
        """Remember a row, forgetting the oldest where there is no more room."""
        self._seq += 1
        rows = self._rows
        rows.append(row)
        self._bytes += row.size
        while len(rows) > self._most_rows or self._bytes > self._most_bytes:
            self._bytes -= rows.popleft().size

    def after(self, seq: int, limit: int) -> Page:
        """At most `limit` rows that follow the one with `seq`."""
        self._catch_up()
        oldest = self._seq - len(self._rows) + 1
        first = max(seq + 1, oldest)
        end = min(self._seq + 1, first + limit)
        found = islice(self._rows, first - oldest, max(first, end) - oldest)
        rows = [_numbered(number, row) for number, row in enumerate(found, start=first)]
        return Page(rows, end - 1 if rows else min(max(seq, oldest - 1), self._seq), max(0, oldest - seq - 1))

    def latest(self, limit: int) -> Page:
        """The last `limit` rows."""
        self._catch_up()
        return self.after(max(self._seq - limit, self._seq - len(self._rows)), limit)

    def clear(self) -> None:
        """Forget the rows; the sequence goes on."""
        self._catch_up()
        self._rows.clear()
        self._bytes = 0
        self.cleared = self._seq

    def _catch_up(self) -> None:
        if self._before_reading is not None:
            self._before_reading()


def _numbered(seq: int, row: Sealed) -> bytes:
    return b'{"seq":%d,' % seq + orjson.dumps(row.row())[1:]
