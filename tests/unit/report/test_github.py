"""What GitHub shows: every limit of it is kept, the worst comes first, and what is left out is counted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate import Verdict
from harness.report import github
from harness.report.github import NOTES_A_LEVEL, SUMMARY_BYTES, Note, Part
from harness.report.material import Material
from harness.report.places import Places
from harness.scenario.loader import load_text
from harness.score.check import Result, Status
from tests.unit.report import sample

EVIL = "a | b <script>x</script> **bold** [link](http://x) `code`\n::error::no\r\n\x1b[31m\u202e%0A"
PLACES = Places(load_text((sample.Path(sample.__file__).resolve().parents[3] / "scenarios" / "llm-brownout.yaml").read_text(), "s.yaml"))


def result(n: int, status: Status, reason: str = "why") -> Result:
    return Result(f"fault.check_{n}", "objective", status, reason, 0.5, ">= 97%", "ratio", 100)


def part_of(*results: Result) -> Part:
    worst = max((r.status for r in results), key=github.severity)
    return github.part(Material(Verdict(worst, 1, results[0].reason, results), sample.history(), sample.scenario()), PLACES, "runs/a/b")


def test_an_alert_that_is_asked_for_by_name_has_a_place_of_its_own() -> None:
    text = "name: a\nload: {shape: [{constant: 9/s}]}\nphases: {steady_state: 9s, fault: 9s}\nfaults: [{id: f, type: t, target: llm}]\n"
    places = Places(
        load_text(text + "expect:\n  - fault: f\n    alerts:\n      Slow: '<= 5s'\n      Late.By: '<= 9s'\n    action: none\n", "a.yaml")
    )
    lines = {name: places.line(f"expect.{name}") for name in ("f.alerts.Slow", "f.alerts.Late.By", "f.action", "f.outcome", "g.alert")}
    assert lines == {"f.alerts.Slow": 8, "f.alerts.Late.By": 9, "f.action": 10, "f.outcome": 6, "g.alert": 1}


def test_the_summary_says_first_whether_it_may_ship_and_why_not() -> None:
    verdict = sample.verdict()
    text = github.summary([github.part(Material(verdict, sample.history(), sample.scenario()), PLACES, "runs/a/b")])
    first, *rest = [line for line in text.splitlines() if line]
    assert first == "## FAIL: llm-brownout" and "98.1% breaks" in rest[0]
    rows = [line for line in text.splitlines() if line.startswith(("| FAIL", "| INCONCLUSIVE", "| WARN", "| PASS"))]
    assert [row.split()[1] for row in rows[:3]] == ["FAIL", "INCONCLUSIVE", "WARN"] and {row.split()[1] for row in rows[3:]} == {"PASS"}
    assert text.index("<details>") < text.index("| PASS") < text.index("</details>")
    assert "slow-llm" in text and "gauntlet run scenarios/llm-brownout.yaml --seed 7" in text and "`runs/a/b`" in text


def test_annotations_stand_at_the_lines_of_the_scenario() -> None:
    asked = {"fault.availability": "fault:", "expect.slow-llm.within": "within", "validity.fault.slow-llm": "id: slow-llm"}
    lines = PLACES._loaded.text.splitlines()
    assert all(word in lines[PLACES.line(name) - 1] for name, word in asked.items())
    assert "recovery" in lines[PLACES.line("recovery.nothing_of_it") - 1], "the phase, where the words are not there"
    assert PLACES.line("safety.nothing_left") == 1
    (command,) = github.workflow_commands([part_of(result(1, Status.FAIL))])
    assert command.startswith("::error file=s.yaml,line=") and command.endswith("title=FAIL%3A llm-brownout%3A fault.check_1::why")


def test_a_level_has_ten_annotations_of_which_the_last_counts_the_rest() -> None:
    results = [
        *(result(n, Status.FAIL) for n in range(30)),
        *(result(n, Status.INCONCLUSIVE) for n in range(30, 33)),
        result(99, Status.WARN),
    ]
    commands = github.workflow_commands([part_of(*results)])
    errors = [line for line in commands if line.startswith("::error")]
    assert len(errors) == NOTES_A_LEVEL and len(commands) == NOTES_A_LEVEL + 1
    assert errors[-1] == "::error title=24 more::24 more of this level are not shown here; the job summary has all"
    assert len(github.workflow_commands([part_of(*results[:10])])) == 10, "ten need no counting"


def test_the_worst_run_is_first_and_runs_share_the_limits() -> None:
    fine, bad = part_of(result(1, Status.PASS)), part_of(result(2, Status.FAIL))
    gone = github.not_started("x.yaml", "the stack did not start: no port")
    text = github.summary([fine, gone, bad])
    assert text.startswith("## Verdicts\n") and text.index("## FAIL") < text.index("## did not start") < text.index("## PASS")
    assert len(github.workflow_commands([bad] * 40)) == NOTES_A_LEVEL
    assert github.workflow_commands([fine]) == []
    assert github.workflow_commands([gone]) == [
        "::error file=x.yaml,line=1,col=1,title=did not start%3A x.yaml::the stack did not start: no port"
    ]


@pytest.mark.parametrize("room", [SUMMARY_BYTES, 20_000, 3_000, 900, 300, 10, 0])
def test_a_summary_that_is_too_large_is_cut_from_its_end_and_says_so(room: int) -> None:
    results = [result(n, Status.FAIL, f"reason {n} " + "ö" * 900) for n in range(1_200)]
    text = github.summary([part_of(*results)], room)
    assert len(text.encode()) <= room
    shown = [int(n) for n in re.findall(r"\| fault.check&#95;(\d+) \|", text)]
    assert shown == list(range(len(shown))), "the first rows, none left out between them"
    if text:
        rows, sections = map(int, re.findall(r"\*\*Cut\*\*: (\d+) rows and (\d+) sections", text)[0])
        assert sections > 0 and (not shown or rows == 1_200 - len(shown))
    assert (room >= 20_000) <= bool(shown)
    assert text.count("<details>") == text.count("</details>")


def test_what_others_say_is_neither_markup_nor_a_command() -> None:
    part = part_of(result(1, Status.FAIL, EVIL))
    text = github.summary([part])
    assert "<script>" not in text and "**bold**" not in text and "[link]" not in text and "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("::")]
    row = next(line for line in text.splitlines() if line.startswith("| FAIL"))
    assert row.count("|") == 7
    (command,) = github.workflow_commands([part])
    assert "\n" not in command and "\r" not in command and command.endswith("%250A")


@given(st.text(), st.text(), st.text())
def test_a_command_can_be_read_back(title: str, message: str, file: str) -> None:
    command = Note("error", title, message, file).command()
    assert "\n" not in command and "\r" not in command
    head, _, data = command.removeprefix("::error ").partition("::")
    found = dict(one.split("=", 1) for one in head.split(","))

    def back(text: str) -> str:
        for code, mark in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
            text = text.replace(code, mark)
        return text

    assert (back(found["title"]), back(data), back(found.get("file", ""))) == (title, message, file)


def test_reasons_beyond_all_bounds_are_shortened() -> None:
    text = github.summary([part_of(replace(result(1, Status.FAIL), reason="word " * 100_000))])
    assert len(text.encode()) < 20_000 and " …" in text
