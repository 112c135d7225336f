"""Actions against known faults: right, wrong, needless, harmful."""

from __future__ import annotations

from typing import Any

import pytest
from numpy.typing import NDArray

from harness.record.requests import Outcome
from harness.score.recovery import escalations_for, judge_actions
from tests.history_builder import history, together, traffic

RUN = ("0s steady_state", "100s end")
CRASH = ("30s fault crash@retrieval-2 fix=restart blast=query", "60s heal")
SLOWLY = ("29s intended crash@retrieval-2 fix=restart blast=query", "30s injected", "30s effective", "60s heal")
SLOW = ("30s fault latency@llm fix=switch_provider blast=generation", "60s heal")
NETWORK = ("30s fault network@retrieval->postgres blast=query", "60s heal")
BENIGN = ("30s fault none@retrieval benign", "60s heal")
UNKNOWN = ("30s intended crash@cache fix=restart", "30s injected", "60s heal")


def judged(fault: tuple[str, ...], *actions: str, requests: NDArray[Any] | None = None) -> dict[str, int]:
    score = judge_actions(history(*RUN, *fault, *actions, requests=requests))
    counts = {"right": score.right, "wrong": score.wrong, "needless": score.needless, "harmful": score.harmful}
    return {word: len(found) for word, found in counts.items() if found}


@pytest.mark.parametrize(
    ("fault", "action", "word"),
    [
        (CRASH, "35s action restart retrieval-2", "right"),
        (CRASH, "35s action restart retrieval", "right"),
        (CRASH, "35s action restart retrieval-1", "wrong"),
        (CRASH, "35s action restart query", "wrong"),
        (CRASH, "35s action scale retrieval", "wrong"),
        (CRASH, "75s action restart retrieval-2", "right"),
        (CRASH, "20s action restart retrieval-2", "needless"),
        (SLOWLY, "28.9s action restart retrieval-2", "needless"),
        (SLOWLY, "29.5s action restart retrieval-2", "right"),  # it bit before the verb had returned
        (CRASH, "76s action restart retrieval-2", "needless"),
        (SLOW, "35s action switch_provider generation", "right"),
        (SLOW, "35s action switch_provider llm", "right"),
        (SLOW, "35s action switch_provider user", "wrong"),
        (SLOW, "35s action restart llm", "wrong"),
        (NETWORK, "35s action restart postgres", "needless"),
        (BENIGN, "35s action restart retrieval", "needless"),
        (CRASH, "35s action restart query status=refused", "wrong"),
    ],
)
def test_action(fault: tuple[str, ...], action: str, word: str) -> None:
    assert judged(fault, action) == {word: 1}


def test_an_action_about_a_fault_that_may_not_have_bitten_counts_neither_way() -> None:
    assert judged(UNKNOWN, "35s action restart cache") == {}
    assert judged(UNKNOWN, "20s action restart cache") == {"needless": 1}


def test_availability_that_falls_after_an_action_is_harm() -> None:
    rows = together(traffic(0, 20), traffic(20, 30, every={2: {"outcome": Outcome.ERROR}}), traffic(30, 100))
    assert judged((), "20s action restart gateway", requests=rows) == {"needless": 1, "harmful": 1}
    assert judged((), "40s action restart gateway", requests=rows) == {"needless": 1}
    assert judged((), "20s action restart gateway status=failed", requests=rows) == {"needless": 1}


def test_what_a_fault_explains_as_well_is_no_harm() -> None:
    rows = together(traffic(0, 30), traffic(30, 60, outcome=Outcome.ERROR), traffic(60, 100))
    assert judged(SLOW, "28s action restart llm", requests=rows) == {"needless": 1}


def test_too_little_traffic_shows_no_harm() -> None:
    rows = together(traffic(0, 20, 1), traffic(20, 100, 1, outcome=Outcome.ERROR))
    assert judged((), "20s action restart gateway", requests=rows) == {"needless": 1}


def test_escalations_of_a_fault() -> None:
    told = history(*RUN, *NETWORK, "20s escalation postgres", "40s escalation postgres", "90s escalation postgres")
    assert [e.service for e in escalations_for(told, told.faults[0])] == ["postgres"]
