"""Collecting the providers' journals, against an admin API that answers as scripted."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.lifecycle import provider_journal
from harness.lifecycle.provider_journal import JournalCollector, JournalReader, ProviderJournalError, live_journal, saved_journal
from harness.record.provider import read_journals
from harness.scenario.catalog import StackInfo
from harness.stack.base import AdminApi
from tests.journal_builder import row


class Mock:
    """The admin API of a mock that holds `rows`, of which the first `forgotten` are gone."""

    def __init__(self) -> None:
        self.id, self.rows, self.forgotten, self.cleared, self.broken = "one", list[dict[str, Any]](), 0, 0, False
        self.open = list[dict[str, Any]]()
        mock = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                after, limit = int(asked["after"][0]), int(asked["limit"][0])
                first = max(after, mock.forgotten)
                page = mock.rows[first : first + limit]
                document: dict[str, Any] = {"requests": page, "next": first + len(page), "lost": first - after, "id": mock.id}
                document["cleared"] = mock.cleared
                document["open"] = mock.open if asked.get("open") == ["true"] else []
                body = json.dumps({} if mock.broken else document).encode()
                self.send_response(200 if self.headers["authorization"] == "Bearer secret" else 401)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.admin = AdminApi(f"http://127.0.0.1:{self._server.server_port}", "secret")

    def see(self, count: int) -> None:
        """That many further requests."""
        seqs = range(len(self.rows) + 1, len(self.rows) + 1 + count)
        self.rows += [row(seq, f"{seq}s 200")[1] for seq in seqs]

    def start_anew(self) -> None:
        self.id, self.rows, self.forgotten = "two", [], 0

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def mock() -> Iterator[Mock]:
    one = Mock()
    yield one
    one.close()


def test_a_reader_follows_page_by_page(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_journal, "PAGE_ROWS", 3)
    reader = JournalReader()
    mock.see(7)
    assert [r["seq"] for r in reader.read(mock.admin)] == [1, 2, 3, 4, 5, 6, 7]
    assert reader.read(mock.admin) == []
    mock.see(1)
    assert [r["seq"] for r in reader.read(mock.admin)] == [8]
    assert reader.missing == []


def test_forgotten_rows_are_told(mock: Mock) -> None:
    reader = JournalReader()
    mock.see(5)
    mock.forgotten = 2
    assert [r["seq"] for r in reader.read(mock.admin)] == [3, 4, 5]
    assert reader.missing == ["2 rows had been forgotten when they were asked for"]


def test_a_report_begins_behind_what_was_cleared(mock: Mock) -> None:
    mock.see(5)
    mock.forgotten = mock.cleared = 2
    journal = live_journal(mock.admin.url, "secret")
    assert ([r.seq for r in journal.rows], journal.missing) == ([3, 4, 5], ())
    mock.forgotten = 4
    assert live_journal(mock.admin.url, "secret").missing == ("2 rows had been forgotten when they were asked for",)


def test_who_was_reading_misses_what_was_cleared(mock: Mock) -> None:
    reader = JournalReader()
    mock.see(1)
    reader.read(mock.admin)
    mock.see(4)
    mock.forgotten = mock.cleared = 3
    assert [r["seq"] for r in reader.read(mock.admin)] == [4, 5]
    assert reader.missing == ["2 rows had been forgotten when they were asked for"]


def test_a_provider_that_was_started_anew_is_read_from_its_beginning(mock: Mock) -> None:
    reader = JournalReader()
    mock.see(2)
    reader.read(mock.admin)
    mock.start_anew()
    mock.see(4)
    assert [r["seq"] for r in reader.read(mock.admin)] == [1, 2, 3, 4]
    assert reader.missing == ["the provider was started anew, and what it had seen last went with it"]


def test_what_is_no_journal(mock: Mock) -> None:
    mock.broken = True
    with pytest.raises(ProviderJournalError, match="does not answer as a journal does: KeyError"):
        JournalReader().read(mock.admin)
    with pytest.raises(ProviderJournalError, match="401"):
        JournalReader().read(AdminApi(mock.admin.url, "guessed"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("127.0.0.1:8081", "write http://HOST:PORT"),
        ("https://127.0.0.1:8081", "write http://HOST:PORT"),
        ("http://[::1", "does not answer as a journal does"),
        ("http://127.0.0.1:99999", "does not answer as a journal does"),
        ("http://127.0.0.1:1/admin", "nobody listens at http://127.0.0.1:1"),
    ],
)
def test_where_there_is_no_admin_api(url: str, says: str) -> None:
    with pytest.raises(ProviderJournalError, match=re.escape(says)):
        live_journal(url, "secret")


def test_a_saved_answer_says_what_came_before_it(mock: Mock, tmp_path: Path) -> None:
    mock.see(5)
    saved = tmp_path / "llm.json"
    for rows, missing in ((mock.rows, ()), (mock.rows[3:], ("3 rows before the first one are not in it",)), ([], ())):
        saved.write_text(json.dumps({"requests": rows, "next": 5, "lost": 0}, indent=1), encoding="utf-8")
        journal = saved_journal(saved)
        assert ([r.seq for r in journal.rows], journal.missing) == ([r["seq"] for r in rows], missing)


@pytest.mark.parametrize("text", ["", "{}", "[]", "seq,status\n1,200\n", '{"models": []}', "[" * 100_000])
def test_a_file_that_is_no_journal(text: str, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(text, encoding="utf-8")
    with pytest.raises(ProviderJournalError, match="is no journal"):
        saved_journal(saved)


class Stack:
    """A stack whose one provider is the mock."""

    def __init__(self, admin: AdminApi) -> None:
        self.info = StackInfo("test", {"llm": 1}, frozenset(), frozenset({"Programmable"}), frozenset(), programmable=frozenset({"llm"}))
        self._admin = admin

    def admin(self, service: str) -> AdminApi:
        assert service == "llm"
        return self._admin


def collect(mock: Mock, folder: Path) -> JournalCollector:
    return JournalCollector(Stack(mock.admin), folder)  # type: ignore[arg-type]  # as much of a stack as a collector asks for


def test_the_last_rows_are_collected_when_it_stops(mock: Mock, tmp_path: Path) -> None:
    collector = collect(mock, tmp_path)
    collector.start()
    mock.see(3)
    collector.stop()
    collector.stop()
    (journal,) = read_journals(tmp_path)
    assert ([r.seq for r in journal.rows], journal.missing) == ([1, 2, 3], ())


def test_what_is_missing_stands_where_it_is_missing(mock: Mock, tmp_path: Path) -> None:
    collector = collect(mock, tmp_path)
    mock.see(3)
    mock.forgotten = 2
    collector.stop()
    lines = [json.loads(line) for line in (tmp_path / "llm.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line.get("seq", line.get("missing")) for line in lines[1:-1]] == ["2 rows had been forgotten when they were asked for", 3]


def test_what_is_not_over_comes_last(mock: Mock, tmp_path: Path) -> None:
    collector = collect(mock, tmp_path)
    mock.see(2)
    mock.open = [{"arrived_s": 5_010.0, "duration_ms": 40_000.0, "status": 0, "ending": None}]
    collector.stop()
    (journal,) = read_journals(tmp_path)
    assert [(r.seq, r.ending) for r in journal.rows] == [(1, "complete"), (2, "complete"), (3, "open")]


def test_a_provider_that_is_gone_at_the_end(mock: Mock, tmp_path: Path) -> None:
    collector = collect(mock, tmp_path)
    mock.broken = True
    collector.stop()
    (reason,) = read_journals(tmp_path)[0].missing
    assert reason.startswith("the journal could not be read at the end: ")


def test_no_more_rows_than_fit(mock: Mock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_journal, "MOST_ROWS", 2)
    collector = collect(mock, tmp_path)
    mock.see(5)
    collector.stop()
    (journal,) = read_journals(tmp_path)
    assert ([r.seq for r in journal.rows], journal.missing) == ([1, 2], ("3 rows beyond the first 2 were left out",))
