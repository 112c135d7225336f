"""The journals of mock providers: read by cursor, and during a run collected into the record before they are forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.record.journal import JournalError
from harness.record.provider import Exchange, ProviderJournal, ProviderWriter, parse_rows, read_journal
from harness.stack.base import AdminApi, Programmable, Stack, StackError

COLLECT_EVERY_S = 1.0
PAGE_ROWS = 1_000
MOST_ROWS = 200_000
"""Of one service in one run; what comes after is left out, and the record says so."""


class ProviderJournalError(RuntimeError):
    """The provider's journal cannot be read now; the text says why."""


@dataclass(slots=True)
class JournalReader:
    """Follows the journal of one mock, which begins anew with each of its starts."""

    missing: list[str] = field(default_factory=list)
    """Why rows were gone before they could be read."""
    _journal: str | None = None
    _after: int = 0

    def read(self, admin: AdminApi, *, unfinished: bool = False) -> list[Mapping[str, Any]]:
        """Every row since the last time; with `unfinished`, then the requests that are still being answered, hanging ones among them.

        Raises ProviderJournalError, and then the same rows come the next time.
        """
        found: list[Mapping[str, Any]] = []
        journal, after, missing = self._journal, self._after, list[str]()
        while True:
            page = _ask(admin, after, unfinished)
            if journal is not None and page.journal != journal:
                missing.append("the provider was started anew, and what it had seen last went with it")
                journal, after = page.journal, 0
                continue  # this page was asked for with the cursor of another journal
            lost = page.lost if journal is not None else max(0, page.lost - page.cleared)  # what went before the first look was not ours
            if lost:
                missing.append(f"{lost} rows had been forgotten when they were asked for")
            journal, after = page.journal, page.next
            found.extend(page.rows)
            if len(page.rows) < PAGE_ROWS:
                break
        self._journal, self._after = journal, after
        self.missing.extend(missing)
        numbered = ({"seq": after + place, **row} for place, row in enumerate(page.open, start=1))
        return [*found, *numbered]


def live_journal(url: str, token: str) -> ProviderJournal:
    """The whole journal of a mock that runs, requests that are still being answered included. Raises ProviderJournalError."""
    if not url.startswith("http://"):
        raise ProviderJournalError(f"{url} is no URL of an admin API: write http://HOST:PORT, as the mock tells it")
    reader = JournalReader()
    rows = reader.read(AdminApi(url.rstrip("/").removesuffix("/admin"), token), unfinished=True)
    return parse_rows("mock", [*rows, *({"missing": reason} for reason in reader.missing)])


def saved_journal(file: Path) -> ProviderJournal:
    """A journal from a file: of a run's record, or what `GET /admin/journal` answered. Raises ProviderJournalError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ProviderJournalError(f"{file}: {error}") from error
    document, header = _json(text), _json(text.partition("\n")[0])
    requests = document.get("requests") if isinstance(document, dict) else None
    if isinstance(requests, list):
        journal = parse_rows(file.stem, requests)
        return replace(journal, missing=(*journal.missing, *_before(journal.rows, document.get("cleared"))))
    if isinstance(header, dict) and "schema" in header:
        try:
            return read_journal(file)
        except JournalError as error:
            raise ProviderJournalError(str(error)) from error
    raise ProviderJournalError(f"{file} is no journal: neither an answer of GET /admin/journal nor provider/*.jsonl of a run")


def _json(text: str) -> Any:
    """None for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _before(rows: Iterable[Exchange], cleared: object) -> Iterator[str]:
    """An answer without a cursor holds the last rows only, and one with a cursor begins behind it."""
    absent = min((row.seq for row in rows), default=1) - 1 - (cleared if type(cleared) is int else 0)
    if absent > 0:
        yield f"{absent} rows before the first one are not in it"


@dataclass(frozen=True, slots=True)
class _Page:
    journal: str
    rows: list[Mapping[str, Any]]
    next: int
    lost: int
    cleared: int
    open: list[Mapping[str, Any]]


def _ask(admin: AdminApi, after: int, unfinished: bool) -> _Page:
    try:
        document = call(admin, "GET", f"/admin/journal?after={after}&limit={PAGE_ROWS}{'&open=true' if unfinished else ''}")
        rows, still_open = list(document["requests"]), list(document["open"]) if unfinished else []
        following, lost, cleared = (int(document[name]) for name in ("next", "lost", "cleared"))
        return _Page(str(document["id"]), rows, following, lost, cleared, still_open)
    except ConnectionRefusedError as error:
        raise ProviderJournalError(f"nobody listens at {admin.url}") from error
    except FaultError as error:
        raise ProviderJournalError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ProviderJournalError(f"{admin.url} does not answer as a journal does: {type(error).__name__}: {error}") from error


class JournalCollector:
    """A thread that writes what the stack's mock providers see into a folder; nothing for a stack that has none."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._ended = threading.Event()
        services = sorted(stack.info.programmable)
        self._sources = [_Source(stack, service, folder) for service in services] if isinstance(stack, Programmable) else []
        self._thread = threading.Thread(target=self._work, name="provider journals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look a last time, for which the providers must still run. Idempotent."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        for source in self._sources:
            source.finish()

    def _work(self) -> None:
        while not self._ended.wait(COLLECT_EVERY_S):
            for source in self._sources:
                source.collect()


class _Source:
    """One service: where its journal is read, and where it is written."""

    def __init__(self, stack: Programmable, service: str, folder: Path) -> None:
        self._stack = stack
        self._service = service
        self._reader = JournalReader()
        self._writer = ProviderWriter(folder, service)
        self._left_out = 0

    def collect(self, *, last: bool = False) -> str | None:
        """Write what is new; the `last` time, also what is not over. A provider that does not answer may later: why not is returned."""
        try:
            rows = self._reader.read(self._stack.admin(self._service), unfinished=last)
        except (ProviderJournalError, StackError) as error:
            return str(error)
        while self._reader.missing:  # before the rows: what is missing came before them
            self._writer.missing(self._reader.missing.pop(0))
        room = max(0, MOST_ROWS - self._writer.rows)
        self._writer.rows_of(rows[:room])
        self._left_out += len(rows[room:])
        return None

    def finish(self) -> None:
        reason = self.collect(last=True)
        if reason is not None:
            self._writer.missing(f"the journal could not be read at the end: {reason}")
        if self._left_out:
            self._writer.missing(f"{self._left_out} rows beyond the first {MOST_ROWS} were left out")
        self._writer.close()
