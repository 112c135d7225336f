"""Instances that stand still at times, and answers that are of no use to who asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from harness.ops.diagnosis.rules.stalls import StallRules
from harness.ops.diagnosis.rules.unusable import UnusableRules
from harness.ops.monitoring.rounds import Look
from tests.unit.ops.stage import Stage, told

Told = list[tuple[str, str, str]]
OTHERS = ("query-1", "gateway-1", "user-1")


def looked(stage: Stage, seconds: float, beside_s: float | None = 0.02, others_s: float = 0.02) -> Told:
    def look(instance: str, took_s: float) -> Look:
        late = took_s >= 0.8
        return replace(stage.look(instance, error="timeout" if late else None, serving=late), duration_s=took_s)

    beside = [] if beside_s is None else [look("retrieval-2", beside_s)]
    return told(stage.show(look("retrieval-1", seconds), *beside, *(look(name, others_s) for name in OTHERS)))


def said(stage: Stage, took_s: Iterable[float]) -> list[Told]:
    return [looked(stage, seconds) for seconds in took_s]


@pytest.mark.parametrize("took_s", [[0.49, 0.74, 0.8, 0.02], [0.3, 0.02, 0.5, 0.02, 0.25], [0.8, 0.21, 0.8]])
def test_an_instance_that_stands_still_time_and_again(took_s: list[float]) -> None:
    stage = Stage(StallRules())
    assert said(stage, [0.02] * 8) == [[]] * 8
    assert [("InstanceStalls", "retrieval", "pool")] in said(stage, took_s)
    assert said(stage, [0.02] * 5)[-1] == []


@pytest.mark.parametrize("took_s", [[0.9, 0.02, 0.02, 0.3, 0.02, 0.02, 0.02], [0.4] * 10, [0.15, 0.02] * 6])
def test_one_bad_moment_a_long_way_and_what_nobody_feels_are_no_stalls(took_s: list[float]) -> None:
    stage = Stage(StallRules())
    assert said(stage, [0.02] * 8 + took_s) == [[]] * (8 + len(took_s))


@pytest.mark.parametrize(("beside_s", "others_s"), [(None, 0.02), (0.4, 0.02), (0.02, 0.3)])
def test_nothing_is_said_where_others_are_no_better_or_not_there(beside_s: float | None, others_s: float) -> None:
    stage = Stage(StallRules())
    assert [looked(stage, seconds, beside_s, others_s) for seconds in (0.5, 0.7, 0.3, 0.6, 0.25, 0.7)] == [[]] * 6


def called(stage: Stage, first: float, second: float, failed: float = 0.0, instance: str = "document-1") -> Told:
    stage.count(instance, "rag_client_requests_total", first, callee="llm", outcome="ok")
    stage.count(instance, "rag_client_requests_total", failed, callee="llm", outcome="error")
    stage.count(instance, "rag_client_requests_total", second, callee="llm_fallback", outcome="ok")
    return told(stage.show(stage.look(instance)))


def test_who_asks_another_provider_although_the_first_one_answers_cannot_use_its_answers() -> None:
    stage = Stage(UnusableRules(("llm", "llm_fallback")))
    assert [called(stage, 3, 0) for _ in range(6)] == [[]] * 6
    assert [called(stage, 3, 3) for _ in range(4)][-1] == [("AnswersUnusable", "llm", "data")]
    assert [called(stage, 3, 0) for _ in range(6)][-1] == []


def test_a_provider_that_is_left_or_that_fails_has_other_rules() -> None:
    left, failing, tells = (Stage(UnusableRules(("llm", "llm_fallback"))) for _ in range(3))
    turns = [(4, 0)] * 6 + [(2, 2)] + [(0, 4)] * 6 + [(2, 2)] + [(4, 0)] * 6
    assert [called(left, *turn) for turn in turns] == [[]] * len(turns)
    assert [called(failing, 3, 3 * (n > 4), failed=2 * (n > 4)) for n in range(12)] == [[]] * 12
    for n in range(12):
        tells.count("generation-1", "rag_llm_requests_total", 3, provider="llm", outcome="ok")
        assert called(tells, 3, 3 * (n > 4), instance="generation-1") == []
