"""How faults end for users: every outcome from traffic written by hand."""

from __future__ import annotations

from typing import Any

import pytest
from numpy.typing import NDArray

from harness.record.requests import Outcome
from harness.score.outcome import FaultOutcome, outcome
from tests.history_builder import history, scenario, together, traffic

PHASES = ("0s steady_state", "30s fault", "70s recovery", "100s end")
LLM = "30s fault latency@llm fix=switch_provider blast=generation,query"
SWITCH = "38s action switch_provider generation"
LIMITS = {"availability": ">= 99.5%", "latency_p95": "<= 800ms"}


def slow(start_s: float, end_s: float, latency_s: float = 4.0) -> NDArray[Any]:
    return traffic(start_s, end_s, latency_s=latency_s)


def failing(start_s: float, end_s: float) -> NDArray[Any]:
    return traffic(start_s, end_s, outcome=Outcome.ERROR)


def ended(*lines: str, rows: NDArray[Any], fault: str = LLM, limits: dict[str, str] | None = None, heal: str = "70s heal") -> FaultOutcome:
    asked = scenario(
        faults=[{"id": "f", "type": "llm.slow_first_token", "target": "llm", "for": "40s"}],
        objectives={"steady_state": LIMITS if limits is None else limits},
    )
    told = history(*PHASES, fault, *lines, heal, requests=rows)
    return outcome(told, asked, told.faults[0])


HEALTHY = traffic(0, 100)


def broken(start_s: float, end_s: float, how: Any = slow) -> NDArray[Any]:
    return together(traffic(0, start_s), how(start_s, end_s), traffic(end_s, 100))


@pytest.mark.parametrize("how", [slow, failing])
@pytest.mark.parametrize(
    ("lines", "end_s", "word", "regained_s"),
    [
        ([SWITCH], 38, "recovered", 8.0),
        ([SWITCH.replace("generation", "llm")], 38, "recovered", 8.0),
        (["38s action switch_provider user"], 38, "self_healed", 8.0),  # not where it helps
        (["38s action restart llm"], 38, "self_healed", 8.0),  # no verb that heals it
        ([f"{SWITCH} status=failed"], 38, "self_healed", 8.0),
        (["50s action switch_provider generation"], 38, "self_healed", 8.0),  # it had healed before
        ([], 38, "self_healed", 8.0),
        ([SWITCH], 60, "recovered", 30.0),  # the last stretch that counts lies wholly before the heal
        ([SWITCH], 62, "healed_by_harness", None),
        ([SWITCH], 70, "healed_by_harness", None),
        ([SWITCH], 100, "not_recovered", None),
    ],
)
def test_word(lines: list[str], end_s: float, word: str, regained_s: float | None, how: Any) -> None:
    found = ended(*lines, rows=broken(30, end_s, how))
    assert (found.word, found.regained_s, found.relapsed) == (word, regained_s, False)


def test_absorbed_when_limits_were_never_left() -> None:
    found = ended(rows=HEALTHY)
    assert (found.word, found.regained_s, found.reason) == ("absorbed", 0.0, "limits were never left")


@pytest.mark.parametrize(("failures", "word"), [(1, "absorbed"), (2, "absorbed"), (3, "self_healed")])
def test_one_stray_failure_leaves_no_limits(failures: int, word: str) -> None:
    rows = HEALTHY.copy()
    rows["outcome"][1000 : 1000 + failures] = Outcome.ERROR
    assert ended(rows=rows).word == word


CRASH = "30s fault crash@retrieval-2 fix=restart blast=query"


@pytest.mark.parametrize(
    ("lines", "word", "regained_s"),
    [
        (["31s down retrieval-2", "45s ready retrieval-2"], "absorbed", 15.0),
        (["31s down retrieval-2", "71s ready retrieval-2"], "healed_by_harness", None),
        (["31s down retrieval-2"], "not_recovered", None),
        ([], None, None),
        (["1s ready retrieval-2"], None, None),  # dead by the fault's own evidence, and the probe did not see it
        (["31s down retrieval-2", "45s ready retrieval-2", "50s down retrieval-2"], "not_recovered", None),
        (["31s down retrieval-2", "45s ready retrieval-2", "46s down document-1"], "absorbed", 15.0),
    ],
)
def test_absorbed_wants_redundancy_back_before_the_heal(lines: list[str], word: str | None, regained_s: float | None) -> None:
    found = ended(*lines, rows=HEALTHY, fault=CRASH)
    assert (found.word, found.regained_s) == (word, regained_s)


@pytest.mark.parametrize(
    ("lines", "word", "regained_s"),
    [
        (["29.9s down retrieval-2", "45s ready retrieval-2"], "absorbed", 15.0),  # the kill itself took until 30s
        (["29.9s down retrieval-2"], "not_recovered", None),
        (["29.9s down retrieval-2", "71s ready retrieval-2"], "healed_by_harness", None),
        (["29.8s down retrieval-2", "29.9s ready retrieval-2"], "absorbed", 0.0),  # back before the harness had said that it was gone
        ([], None, None),
        (["1s ready retrieval-2", "45s ready retrieval-2"], None, None),
        (["29.5s down retrieval-2", "45s ready retrieval-2"], None, None),  # down before anything was done to it
        (["29.5s down retrieval-2", "29.9s down retrieval-2", "45s ready retrieval-2"], None, None),  # said twice, and still not by it
        (["29.9s down retrieval-1", "45s ready retrieval-1"], None, None),  # another one
    ],
)
def test_a_fault_is_at_work_from_when_it_was_intended(lines: list[str], word: str | None, regained_s: float | None) -> None:
    """What dies may be seen down between `intended` and `injected`."""
    intended = CRASH.replace("30s fault", "29.7s intended")
    found = ended("30s injected", "30.2s effective", "0.1s ready retrieval-2", *lines, rows=HEALTHY, fault=intended)
    assert (found.word, found.regained_s) == (word, regained_s)


def test_help_that_came_by_the_heal_is_not_absorption() -> None:
    """Everybody hangs until the harness heals; then all are answered, and availability alone would be perfect."""
    hung = traffic(30, 70, latency_s=lambda i: 40.1 - i / 25.0)
    found = ended(rows=together(traffic(0, 30), hung, traffic(70, 100)), limits={"availability": ">= 99.5%"})
    assert found.word == "healed_by_harness"


def test_relapse() -> None:
    rows = together(traffic(0, 30), slow(30, 38), traffic(38, 50), slow(50, 55), traffic(55, 100))
    found = ended(SWITCH, rows=rows)
    assert (found.word, found.regained_s, found.relapsed) == ("recovered", 8.0, True)
    lost = together(traffic(0, 30), slow(30, 38), traffic(38, 55), slow(55, 70), traffic(70, 100))
    assert ended(SWITCH, rows=lost).word == "healed_by_harness"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"limits": {}}, "no limits that users could leave"),
        ({"limits": {"availability": "<= 100%"}}, "no limits that users could leave"),
        ({"rows": together(traffic(0, 30), traffic(30, 70, rate=1), traffic(70, 100))}, "sent 40 of 1000 offered arrivals"),
        ({"rows": together(slow(0, 30), traffic(30, 100))}, "no steady state"),
        ({"heal": "70s heal-only"}, "not proved gone"),
        ({"fault": "30s intended latency@llm"}, "not effective"),
    ],
)
def test_undecidable(changes: dict[str, Any], reason: str) -> None:
    found = ended(**{"rows": HEALTHY, **changes})
    assert found.word is None
    assert reason in found.reason


def test_windows_with_few_samples_credit_nobody() -> None:
    asked = scenario(
        load={"shape": [{"constant": "1/s"}]},
        phases={"steady_state": "300s", "fault": "40s", "recovery": "30s"},
        faults=[{"id": "f", "type": "t", "target": "llm", "for": "40s"}],
        objectives={"steady_state": {"availability": ">= 95%"}},
    )
    told = history(
        "0s steady_state", "300s fault", "300s fault latency@llm", "340s heal", "340s recovery", "370s end", requests=traffic(0, 370, 1)
    )
    found = outcome(told, asked, told.faults[0])
    assert (found.word, found.reason) == (None, "36 of 36 windows during the fault hold too few samples")
