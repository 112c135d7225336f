"""The providers' journals in the record: what is written can be read, and what is missing is told."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

from harness.record import store
from harness.record.events import ENDED, Event
from harness.record.journal import Journal
from harness.record.provider import FIELDS, ProviderWriter, read_journals
from tests.journal_builder import START_S, row

ROOT = Path(__file__).resolve().parents[3]


def rows(*lines: str) -> list[dict[str, Any]]:
    return [row(seq, line)[1] for seq, line in enumerate(lines, start=1)]


def written(folder: Path, *lines: str) -> Path:
    writer = ProviderWriter(folder, "llm")
    writer.rows_of(rows(*lines))
    writer.close()
    writer.close()
    return folder / "llm.jsonl"


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    written(tmp_path, "0s 429 told=1 retry=0 trace=t account=a fault=rate_limited", "1s stream 200 left=0.5 should=false")
    (journal,) = read_journals(tmp_path)
    first, second = journal.rows
    assert (journal.service, journal.missing) == ("llm", ())
    assert (first.caller, first.body, first.trace_id, first.client_attempt, first.retry_after_s) == ("client/1 (a)", "b", "t", 0, 1.0)
    assert (first.status, first.fault_types, first.stream, first.should_retry) == (429, {"rate_limited"}, False, None)
    assert (second.arrived_s, second.ended_s, second.ending) == (START_S + 1, START_S + 1.5, "disconnected")
    assert (second.status, second.stream, second.should_retry, second.faults) == (200, True, False, ())


def test_nothing_but_the_known_fields_is_kept(tmp_path: Path) -> None:
    writer = ProviderWriter(tmp_path, "llm")
    writer.rows_of([{**rows("0s 200")[0], "authorization": "Bearer sk-secret", "prompt": "private"}])
    writer.close()
    text = (tmp_path / "llm.jsonl").read_text(encoding="utf-8")
    assert not re.search("secret|private|authorization|prompt", text.replace("prompt_tokens", ""))


def test_every_field_is_documented() -> None:
    text = (ROOT / "docs" / "record.md").read_text(encoding="utf-8").split("## What the providers saw")[1].split("\n## ")[0]
    documented = [name for line in text.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(documented) == sorted(FIELDS)


def test_a_journal_without_its_end_was_cut(tmp_path: Path) -> None:
    file = written(tmp_path, "0s 200", "1s 200")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for cut in (lines[:-1], lines[:2] + lines[3:], lines[:2], []):
        file.write_text("".join(cut), encoding="utf-8")
        (journal,) = read_journals(tmp_path)
        assert journal.missing == ("the journal was cut",), cut


def test_what_is_missing_is_told_once(tmp_path: Path) -> None:
    writer = ProviderWriter(tmp_path, "llm")
    for _ in range(2):
        writer.missing("7 rows had been forgotten")
    writer.close()
    assert read_journals(tmp_path)[0].missing == ("7 rows had been forgotten",)


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    file = written(tmp_path, "0s 200")
    with file.open("a", encoding="utf-8") as more:
        more.write('{"seq": 2}\n[]\nnull\n{"torn\n' + json.dumps({"seq": 3, "arrived_s": float("nan"), "duration_ms": 1}) + "\n")
    (journal,) = read_journals(tmp_path)
    assert (len(journal.rows), journal.missing) == (1, ("5 rows cannot be read",))


def test_no_folder_no_journals(tmp_path: Path) -> None:
    assert read_journals(tmp_path / "provider") == ()


def test_a_record_without_a_journal_that_there_was_is_damaged(tmp_path: Path) -> None:
    directory = store.RunDirectory(tmp_path)
    store.write_run_file(directory, {"seed": 7})
    written(directory.providers, "0s 200")
    with closing(Journal(directory.events)) as journal:
        assert directory.journalled() == ["llm"]
        journal.append(Event(1, ENDED, "truth", {"complete": True, "ending": "completed", "events": 0, "providers": ["llm"]}))
    assert store.read(tmp_path).damage == ()
    whole = (directory.providers / "llm.jsonl").read_bytes()
    (directory.providers / "llm.jsonl").write_bytes(whole[:-5])
    assert store.read(tmp_path).damage == ("llm.jsonl: the journal was cut",)
    (directory.providers / "llm.jsonl").unlink()
    assert store.read(tmp_path).damage == ("llm.jsonl: the journal is not there",)
