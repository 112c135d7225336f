"""The journals of mock providers: read by cursor, and during a run collected into the record before they are forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.record.provider import ProviderJournal, ProviderWriter, parse_rows, read_journal
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
            if page.lost:
                missing.append(f"{page.lost} rows had been forgotten when they were asked for")
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
    reader = JournalReader()
    try:
        rows = reader.read(AdminApi(url.rstrip("/").removesuffix("/admin"), token), unfinished=True)
    except ValueError as error:  # not even the form of a URL
        raise ProviderJournalError(f"{url}: {error}") from error
    return parse_rows("mock", [*rows, *({"missing": reason} for reason in reader.missing)])


def saved_journal(file: Path) -> ProviderJournal:
    """A journal from a file: of a run's record, or what `GET /admin/journal` answered. Raises ProviderJournalError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ProviderJournalError(f"{file}: {error}") from error
    try:
        document = json.loads(text)
    except ValueError:
        return read_journal(file)
    requests = document.get("requests") if isinstance(document, dict) else None
    if not isinstance(requests, list):
        return read_journal(file)
    lost = document.get("lost")
    return parse_rows(file.stem, [*requests, *([{"missing": f"{lost} rows had been forgotten"}] if lost else [])])


@dataclass(frozen=True, slots=True)
class _Page:
    journal: str
    rows: list[Mapping[str, Any]]
    next: int
    lost: int
    open: list[Mapping[str, Any]]


def _ask(admin: AdminApi, after: int, unfinished: bool) -> _Page:
    try:
        document = call(admin, "GET", f"/admin/journal?after={after}&limit={PAGE_ROWS}{'&open=true' if unfinished else ''}")
        rows, still_open = list(document["requests"]), list(document["open"]) if unfinished else []
        return _Page(str(document["id"]), rows, int(document["next"]), int(document["lost"]), still_open)
    except (FaultError, ConnectionRefusedError) as error:
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
        room = max(0, MOST_ROWS - self._writer.rows)
        self._writer.rows_of(rows[:room])
        self._left_out += len(rows[room:])
        while self._reader.missing:
            self._writer.missing(self._reader.missing.pop(0))
        return None

    def finish(self) -> None:
        reason = self.collect(last=True)
        if reason is not None:
            self._writer.missing(f"the journal could not be read at the end: {reason}")
        if self._left_out:
            self._writer.missing(f"{self._left_out} rows beyond the first {MOST_ROWS} were left out")
        self._writer.close()
