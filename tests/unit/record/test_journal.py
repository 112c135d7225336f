"""What was appended is read back, whatever happened to the end of the file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record.events import Event
from harness.record.journal import Journal, JournalError, read_journal

EVENTS = [Event(t, "phase", "truth", {"name": "warmup", "state": "start", "n": t}) for t in range(3)]


def written(path: Path) -> bytes:
    journal = Journal(path)
    for event in EVENTS:
        journal.append(event)
    journal.close()
    return path.read_bytes()


def test_round_trip(tmp_path: Path) -> None:
    written(tmp_path / "events.jsonl")
    assert list(read_journal(tmp_path / "events.jsonl")) == EVENTS


def test_a_missing_file_is_an_empty_journal(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "absent.jsonl")) == []


def test_cut_anywhere_it_keeps_every_whole_line(tmp_path: Path) -> None:
    whole = written(tmp_path / "events.jsonl")
    for cut in range(len(whole)):
        (tmp_path / "cut.jsonl").write_bytes(whole[:cut])
        got = list(read_journal(tmp_path / "cut.jsonl"))
        assert got == EVENTS[: len(got)]
        assert len(got) >= whole[:cut].count(b"\n") - 1


def test_a_new_writer_after_a_torn_line_loses_nothing_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(written(path)[:-7])
    journal = Journal(path)
    journal.append(EVENTS[2])
    journal.close()
    assert list(read_journal(path)) == [EVENTS[0], EVENTS[1], EVENTS[2]]


def test_unknown_fields_and_kinds_survive(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"schema":1,"by":"a later version"}\n{"t_ns":5,"kind":"novel","source":"truth","deep":{"x":[1]}}\n')
    (event,) = read_journal(path)
    assert event == Event(5, "novel", "truth", {"deep": {"x": [1]}})


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"schema":99}\n')
    with pytest.raises(JournalError, match="schema 99 is newer"):
        list(read_journal(path))


def test_threads_share_one_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    threads = [
        threading.Thread(target=lambda n=n: [journal.append(Event(n, "note", "truth", {"i": i})) for i in range(50)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    got = list(read_journal(tmp_path / "events.jsonl"))
    assert sorted((e.t_ns, e.data["i"]) for e in got) == [(n, i) for n in range(4) for i in range(50)]
    with pytest.raises(JournalError, match="closed"):
        journal.append(EVENTS[0])


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "events.jsonl"
    path.write_bytes(data)
    assert all(isinstance(e, Event) for e in read_journal(path))
