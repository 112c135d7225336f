"""What the mock providers saw of their callers: one row an exchange, one file a service (`provider/<service>.jsonl`)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record.events import SCHEMA_VERSION
from harness.record.journal import JournalError, newer
from harness.record.progress import UNTOLD, Progress

OWN_USER_AGENT = "gauntlet"
"""Of the harness's own requests to a provider, which are no caller's."""

FIELDS = (
    "seq", "ts", "arrived_s", "duration_ms", "method", "route", "path", "dialect", "status", "error", "request_id", "trace_id", "parent_id",
    "client_attempt", "user_agent", "account", "tenant", "connection", "sequence", "body_sha", "attempt", "model", "stream", "faults",
    "retry_after_s", "should_retry", "queued_ms", "ttft_ms", "last_sent_ms", "prompt_tokens", "completion_tokens", "finish_reason",
    "ending", "disconnected_after_ms", "content_sent_tokens",
)  # fmt: skip
"""What is kept of a journal row. Everything else stays where it is, so that nothing that somebody adds there leaks into the record."""


CUT = "the journal was cut"
"""What is missing from a journal that lacks its end."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as its provider saw it. Times are monotonic seconds; what is not known is None.

    `status` is 0 where nothing was answered. `ending` says how the answer ended: complete, disconnected (the client left first), fin,
    reset, hang (nothing more would ever have come), open (it had not ended yet). `left_s` is how long a client that left had
    waited, `last_sent_s` the time until something of a stream was last sent. `route` is the pattern that `path` matched. `body` is the
    fingerprint of what was asked; `faults` are (id, type) of those that changed the answer.
    """

    service: str
    seq: int
    arrived_s: float
    ended_s: float
    method: str = "POST"
    route: str = ""
    path: str = ""
    status: int = 200
    user_agent: str | None = None
    account: str | None = None
    trace_id: str | None = None
    body: str | None = None
    client_attempt: int | None = None
    stream: bool = False
    faults: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None
    finish_reason: str | None = None
    ending: str = "complete"
    left_s: float | None = None
    last_sent_s: float | None = None
    connection: int | None = None

    @property
    def caller(self) -> str:
        """Who asked: the user agent, with the account where one is known."""
        name = self.user_agent or "unnamed client"
        return f"{name} ({self.account})" if self.account else name

    @property
    def fault_types(self) -> frozenset[str]:
        return frozenset(kind for _, kind in self.faults)


@dataclass(frozen=True, slots=True)
class ProviderJournal:
    """The exchanges of one service, and why they may not be all of them."""

    service: str
    rows: Collection[Exchange] = ()  # of a record: read anew by whoever goes through them
    missing: tuple[str, ...] = ()


def exchange(service: str, row: Mapping[str, Any]) -> Exchange:
    """A journal row, typed. Raises ValueError for one without sequence number or times."""
    seq, arrived_s, duration_ms = _placed(row)
    left_ms, last_sent_ms = _number(row.get("disconnected_after_ms")), _number(row.get("last_sent_ms"))
    status = row.get("status")
    return Exchange(
        service=service,
        seq=seq,
        arrived_s=arrived_s,
        ended_s=arrived_s + (duration_ms if left_ms is None else left_ms) / 1000.0,
        method=_word(row.get("method")) or "POST",
        route=_word(row.get("route")) or "",
        path=_word(row.get("path")) or "",
        status=status if type(status) is int else 0,
        user_agent=_word(row.get("user_agent")),
        account=_word(row.get("account")),
        trace_id=_text(row.get("trace_id")),
        body=_text(row.get("body_sha")),
        client_attempt=_count(row.get("client_attempt")),
        stream=row.get("stream") is True,
        faults=tuple(_faults(row.get("faults"))),
        error=_word(row.get("error")),
        retry_after_s=_number(row.get("retry_after_s")),
        should_retry=_flag(row.get("should_retry")),
        finish_reason=_word(row.get("finish_reason")),
        ending=_word(row.get("ending")) or "open",
        left_s=None if left_ms is None else left_ms / 1000.0,
        last_sent_s=None if last_sent_ms is None else last_sent_ms / 1000.0,
        connection=row["connection"] if type(row.get("connection")) is int else None,
    )


def _placed(row: Mapping[str, Any]) -> tuple[int, float, float]:
    """Number, arrival and duration; a row without them is none. Raises ValueError."""
    arrived_s, duration_ms = _number(row.get("arrived_s")), _number(row.get("duration_ms"))
    seq = row.get("seq")
    if type(seq) is not int or arrived_s is None or duration_ms is None:
        raise ValueError(f"no row of a journal: seq {seq!r}, arrived_s {row.get('arrived_s')!r}, duration_ms {row.get('duration_ms')!r}")
    return seq, arrived_s, duration_ms


def kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a journal row that the record keeps."""
    return {name: row[name] for name in FIELDS if row.get(name) is not None}


class ProviderWriter:
    """Writes the journal of one service; one thread. Without its last line a journal counts as cut."""

    def __init__(self, folder: Path, service: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{service}.jsonl").open("w", encoding="utf-8")
        self.rows = 0
        self._line({"schema": SCHEMA_VERSION, "service": service})

    def rows_of(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows as the provider told them, less what the record does not keep."""
        for row in rows:
            self._line(kept(row))
            self.rows += 1
        self._file.flush()

    def missing(self, reason: str) -> None:
        """Note that rows are missing at this point, and why."""
        self._line({"missing": reason})
        self._file.flush()

    def close(self) -> None:
        """The last line; idempotent."""
        if not self._file.closed:
            self._line({"end": True, "rows": self.rows})
            self._file.close()

    def _line(self, document: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(document, separators=(",", ":"), default=str) + "\n")


def read_journals(folder: Path, progress: Progress = UNTOLD) -> tuple[ProviderJournal, ...]:
    """The journals under a folder, by the service's name; none where there is no such folder. Tells `progress` the bytes of each."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        found.append(read_journal(file))
        progress.advance(file.stat().st_size)
    return tuple(found)


def parse_rows(service: str, documents: Iterable[Any]) -> ProviderJournal:
    """A journal from its documents: rows, and lines that say what is missing."""
    found = _Reading()
    rows = tuple(exchange(service, row) for row in found.rows(documents))
    return ProviderJournal(service, rows, found.missing)


def read_journal(file: Path) -> ProviderJournal:
    """One journal of a record, gone through once to see whether it is whole. Raises JournalError for one of a newer schema."""
    found = _Reading()
    count = sum(1 for _ in found.rows(_documents(file)))
    if found.schema > SCHEMA_VERSION:
        raise JournalError(newer(file, found.schema))
    missing = found.missing if found.told == count else (*found.missing, CUT)
    return ProviderJournal(file.stem, _RowsOnDisk(file, count), missing)


class _Reading:
    """Goes through the documents of a journal, and notes what is no row."""

    def __init__(self) -> None:
        self.schema = 0
        self.told: object = None  # how many rows there are, by its end
        self._missing: list[str] = []
        self._unreadable = 0

    def rows(self, documents: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
        """Those that `exchange` reads."""
        for document in documents:
            row = document if isinstance(document, dict) else {}
            if "schema" in row or "end" in row:
                self.schema = max(self.schema, row["schema"] if type(row.get("schema")) is int else 0)
                self.told = row.get("rows") if row.get("end") is True else self.told
            elif isinstance(row.get("missing"), str):
                self._missing.append(row["missing"])
            else:
                try:
                    _placed(row)
                except ValueError:
                    self._unreadable += 1
                else:
                    yield row

    @property
    def missing(self) -> tuple[str, ...]:
        unreadable = [f"{self._unreadable} rows cannot be read"] if self._unreadable else []
        return tuple(dict.fromkeys([*self._missing, *unreadable]))


@dataclass(frozen=True, slots=True)
class _RowsOnDisk(Collection[Exchange]):
    """Two hundred thousand exchanges take a hundred megabytes, and few scenarios ask about callers."""

    file: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Exchange]:
        return (exchange(self.file.stem, row) for row in _Reading().rows(_documents(self.file)))

    def __contains__(self, row: object) -> bool:
        return any(row == other for other in self)


def _documents(file: Path) -> Iterator[Any]:
    with file.open("rb") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _faults(value: object) -> Iterator[tuple[str, str]]:
    for fault in value if isinstance(value, list) else []:
        if isinstance(fault, dict) and isinstance(fault.get("type"), str):
            yield str(fault.get("id", "")), fault["type"]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _word(value: object) -> str | None:
    """A text that comes again and again: kept once."""
    text = _text(value)
    return None if text is None else sys.intern(text)


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if usable else None  # type: ignore[arg-type]  # `usable` says that it is a number


def _count(value: object) -> int | None:
    """Clients send it as a header, so it may come as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 6:
        return int(value)
    return value if type(value) is int and value >= 0 else None


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None
