"""Faults of a comparison in one version: played beside it, told step by step, and healed whoever goes away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from harness.deploy.breaking import Breaking
from harness.faults import registry
from harness.faults.base import FaultError
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.model import FaultUse
from harness.stack.base import Stack, StackError
from tests.unit.faults.fakes import FakeLease, ScriptedFault

USE = FaultUse.model_validate({"id": "slow", "type": "test.scripted", "target": "retrieval", "at": "fault", "for": "100s"})


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Breaking:
    monkeypatch.setattr(registry, "build", lambda use, _context: ScriptedFault([], None, use.id).known())
    return Breaking(cast(Stack, None), FakeLease([]), "run", SystemClock())


def steps(breaking: Breaking) -> list[str]:
    return [str(event["step"]) for event in breaking.told()["events"]]


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.02)


def begun(breaking: Breaking, length_s: float = 200.0) -> None:
    now_ns = SystemClock().now_ns()
    breaking.begin([USE], 1, now_ns, now_ns + round(length_s * NS_PER_S))


def test_what_is_broken_is_told_and_healed_when_it_is_ended(breaking: Breaking) -> None:
    begun(breaking)
    until(lambda: "effective" in steps(breaking))
    assert not breaking.told()["done"]
    breaking.end()
    assert breaking.told()["done"]
    assert steps(breaking)[-3:] == ["heal_intended", "healed", "gone"]
    assert all(event["id"] == "slow" and event["t_ns"] > 0 for event in breaking.told()["events"])


def test_it_ends_by_itself_where_nobody_asks_any_more(breaking: Breaking) -> None:
    begun(breaking, length_s=0.5)
    until(lambda: bool(breaking.told()["done"]))
    assert steps(breaking)[-1] == "gone"


def test_a_second_comparison_begins_with_nothing_broken(breaking: Breaking) -> None:
    begun(breaking)
    until(lambda: "effective" in steps(breaking))
    begun(breaking)
    until(lambda: "effective" in steps(breaking))
    assert steps(breaking).count("intended") == 1
    breaking.end()


def test_what_the_stack_cannot_take_is_said(breaking: Breaking, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_use: FaultUse, _context: Any) -> Any:
        raise FaultError("no such instance")

    monkeypatch.setattr(registry, "build", refuse)
    with pytest.raises(StackError, match="no such instance"):
        begun(breaking)
    assert breaking.told() == {"done": True, "events": []}
