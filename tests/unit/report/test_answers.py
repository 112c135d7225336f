"""The first screen of the report: five questions, answered from the record."""

from __future__ import annotations

from typing import Any

from harness.gate import Verdict
from harness.record import events as ev
from harness.record.history import History
from harness.report.answers import answers
from harness.report.material import Material
from harness.score.check import Result, Status
from tests.unit.report import sample

QUESTIONS = ("May it ship?", "Why not?", "What broke first?", "Who noticed?", "How long did users suffer?")


def told(verdict: Verdict | None = None, **changes: Any) -> dict[str, tuple[str, ...]]:
    material = Material(verdict or sample.verdict(), sample.history(**changes), sample.scenario())
    return {answer.question: answer.told for answer in answers(material)}


def without(*kinds: str) -> tuple[ev.Event, ...]:
    return tuple(e for e in sample.events() if e.kind not in kinds)


def test_a_fault_that_was_noticed_and_left() -> None:
    found = told()
    assert tuple(found) == QUESTIONS
    assert found["May it ship?"][0].startswith("No.")
    assert found["Why not?"] == ("fault.availability: 98.1% breaks >= 99%, n=1000",)
    assert found["What broke first?"][0] == "llm.slow_first_token on llm, 35.2s into the run."
    assert found["Who noticed?"] == ("The alert LatencyHigh after 6s; llm/latency was named, rightly, after 8.8s.",)
    assert found["How long did users suffer?"] == ("About 12 s, recovered.", "18 of 2,500 requests failed in the whole run.")


def test_nobody_noticed() -> None:
    found = told(events=without(ev.ALERT, ev.DIAGNOSIS, ev.ACTION))
    assert found["Who noticed?"] == ("Nobody: no alert about it.",)
    assert (
        "until the harness healed it" in found["How long did users suffer?"][0] or "self-healed" in found["How long did users suffer?"][0]
    )


def test_nothing_was_broken() -> None:
    found = told(events=without(ev.FAULT, ev.ALERT, ev.DIAGNOSIS, ev.ACTION))
    assert found["What broke first?"] == ("None of 1 faults was shown to bite.",)
    assert found["Who noticed?"] == ("There was nothing to notice.",)
    assert found["How long did users suffer?"] == ("18 of 2,500 requests failed in the whole run.",)


def test_an_alert_with_nothing_broken_is_no_merit() -> None:
    assert told(events=without(ev.FAULT))["Who noticed?"] == ("1 alerts, with nothing broken that is known to bite.",)


def test_a_pass_says_yes_and_an_inconclusive_run_does_not() -> None:
    passed = Verdict(Status.PASS, 0, "all 9 checks pass", (Result("a.b", "objective", Status.PASS, "kept"),))
    assert told(passed)["May it ship?"][0].startswith("Yes.")
    assert told(passed)["Why?"] == ("all 9 checks pass",)
    many = tuple(Result(f"fault.sli_{n}", "objective", Status.INCONCLUSIVE, f"too few: {n}") for n in range(5))
    open_ = told(Verdict(Status.INCONCLUSIVE, 3, "fault.sli_0: too few: 0 (and 4 more)", many))
    assert open_["May it ship?"][0].startswith("Not on this evidence.")
    assert open_["Why not?"] == ("fault.sli_0: too few: 0", "fault.sli_1: too few: 1", "fault.sli_2: too few: 2", "and 2 more, below")


def test_the_reason_of_a_gate_is_told_as_well() -> None:
    gated = Verdict(Status.FAIL, 1, "score 0.5 of the objectives (pass 90%, warn 75%)", sample.RESULTS, 0.5)
    assert told(gated)["Why not?"][0] == "score 0.5 of the objectives (pass 90%, warn 75%)"


def test_an_empty_record_is_answered_too() -> None:
    material = Material(Verdict(Status.INCONCLUSIVE, 3, "cut", ()), History(), sample.scenario())
    assert [answer.question for answer in answers(material)] == list(QUESTIONS)
