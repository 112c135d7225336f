"""What a run is shown as: what stopped it first, everything escaped, nothing green for want of cases."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console

from harness.findings import Finding
from harness.pipeline import reading, words
from harness.pipeline.reference import page
from harness.pipeline.report import document, html, junit, live, terminal, writing
from harness.pipeline.selection import Selection
from harness.pipeline.step import StepResult
from harness.score.check import Status
from harness.testing import FakeClock
from tests.unit.pipeline.plays import FAIL, Played, play
from tests.unit.pipeline.test_engine import CHAIN, ONE

ROOT = Path(__file__).resolve().parents[3]
FOUND = Finding("code.eval", "error", "<b>eval</b> of input", "parse it", "src/a.py", 3, 5)
BAD = StepResult(Status.FAIL, "1 finding: <script>", findings=(FOUND,))


def a_run(folder: Path) -> reading.PipelineRecord:
    return play(CHAIN, folder, {"one": Played(ONE), "code": Played(BAD)}).record


def test_the_terminal_begins_with_what_stopped_it(tmp_path: Path) -> None:
    lines = list(terminal.plain_lines(a_run(tmp_path)))
    assert lines[:3] == [
        "FAIL: chain: scan/code: 1 finding: <script>",
        "- FAIL scan/code in 1.0 s: 1 finding: <script>",
        "- not run ship/out: needs scan, which FAILED (code)",
    ]
    assert "src/a.py:3:5: error: <b>eval</b> of input [code.eval]; parse it" in lines
    shown = io.StringIO()
    terminal.show(a_run(tmp_path / "b"), Console(file=shown, force_terminal=True, width=120))
    assert shown.getvalue().index("scan/code") < shown.getvalue().index("build/one")


def test_the_terminal_counts_notes_and_names_what_is_more(tmp_path: Path) -> None:
    note = Finding("code.assert", "note", "an assert", "raise", "src/a.py", 4, 1)
    well = StepResult(Status.PASS, "read", findings=(note, note, FOUND))
    lines = list(terminal.plain_lines(play(CHAIN, tmp_path, {"one": Played(ONE), "code": Played(well)}).record))
    assert [line for line in lines if "src/a.py" in line] == ["src/a.py:3:5: error: <b>eval</b> of input [code.eval]; parse it"]
    assert "scan/code: 2 notes in its evidence" in lines


def test_the_document_is_stable(tmp_path: Path) -> None:
    record = a_run(tmp_path)
    writing.write(record)
    first = (tmp_path / "pipeline.json").read_bytes()
    writing.write(reading.read(tmp_path))
    assert (tmp_path / "pipeline.json").read_bytes() == first
    found = json.loads(first)
    assert (found["verdict"], found["exit_code"], found["selected"]) == ("FAIL", 1, ["build", "test", "scan", "ship"])
    assert found["stages"][2]["steps"][0] == {
        "id": "code",
        "uses": "command",
        "optional": False,
        "state": "finished",
        "status": "FAIL",
        "reason": "1 finding: <script>",
        "seconds": found["stages"][2]["steps"][0]["seconds"],
        "taken_from": None,
        "log": "scan/code.log",
        "evidence": {},
        "outputs": {},
        "findings": [FOUND.to_json()],
    }


def test_junit(tmp_path: Path) -> None:
    root = ET.fromstring(junit.render(a_run(tmp_path)))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
    }
    nothing = play(CHAIN, tmp_path / "b", selection=Selection(stages=("ship",))).record
    other = ET.fromstring(junit.render(nothing))
    assert (other.get("failures"), other.get("errors"), other.get("skipped")) == ("0", "1", "5")


def test_the_page_escapes_what_comes_from_outside(tmp_path: Path) -> None:
    text = html.render(a_run(tmp_path))
    assert "&lt;script&gt;" in text and "<script" not in text and "<b>eval" not in text
    assert "This build may not ship." in text and "src/a.py:3" in text
    assert "http" not in text.replace("http-equiv", "")


def test_lines_are_told_once_and_whole(tmp_path: Path) -> None:
    record = a_run(tmp_path)
    lines = live.Lines()
    told = lines.feed(record, 0)
    assert len(told) == 5 and told[0].startswith("build/one: PASS in 1.")
    assert lines.feed(record, 10**12) == []


def test_what_a_step_says_is_a_line_now_and_then(tmp_path: Path) -> None:
    done = a_run(tmp_path)
    step = replace(done.steps[0], state=words.STARTED, status=None, said="first")
    lines = live.Lines()

    def told(said: str, at_s: float) -> list[str]:
        stage = replace(done.stages[0], steps=(replace(step, said=said),))
        return lines.feed(replace(done, stages=(stage,)), (step.began_ns or 0) + round(at_s * 10**9))

    saying = (("first", 0), ("second", 3), ("third", 9.9), ("third", 10.1), ("third", 39), ("third", 41))
    assert [len(told(*one)) for one in saying] == [1, 0, 0, 1, 0, 1]


def test_what_runs_says_for_how_long_and_what_it_took_before(tmp_path: Path) -> None:
    play(CHAIN, tmp_path, {"one": Played(ONE)})
    events = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    cut = next(n for n, line in enumerate(events) if '"two"' in line and '"started"' in line)
    text = "".join(events[: cut + 1]).replace('"about_s":null', '"about_s":40.0')
    (tmp_path / "events.jsonl").write_text(text, encoding="utf-8")
    record = reading.read(tmp_path)
    begun_ns = next(step.began_ns for step in record.steps if step.id == "two") or 0
    assert live.Lines().feed(record, begun_ns + 12 * 10**9)[-1] == "build/two: runs for 12.0 s of about 40.0 s"
    shown = io.StringIO()
    Console(file=shown, width=100).print(live.table(record, begun_ns + 70 * 10**9))
    assert "runs for 1 min 10 s of about 40.0 s" in shown.getvalue() and "waits" in shown.getvalue()


def test_a_view_on_no_terminal_prints_lines(tmp_path: Path) -> None:
    shown = io.StringIO()
    with live.LiveView("chain", FakeClock(), console=Console(file=shown, width=200)) as view:
        view.update(a_run(tmp_path))
    assert shown.getvalue().count("\n") == 5


def test_a_prefix_that_failed_already_is_a_failure(tmp_path: Path) -> None:
    play(CHAIN, tmp_path, {"one": Played(FAIL)})
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[:-1]))
    record = reading.read(tmp_path)
    assert (record.status, record.ending, document.exit_code(record)) == (Status.FAIL, "", 1)


def test_the_page_about_kinds_is_fresh() -> None:
    assert (ROOT / "docs" / "pipeline-kinds.md").read_text(encoding="utf-8") == page(), "stale: run pipelines/docs"
