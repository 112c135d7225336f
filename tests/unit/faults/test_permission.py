"""Who is asked before an injection: nothing happens without an answer; what is late keeps its length, or is refused."""

from __future__ import annotations

from typing import Any

from harness.faults.permission import Granted, Permission, Refused
from harness.faults.schedule import FaultSchedule
from harness.record.clock import NS_PER_S
from harness.scenario.model import FaultUse
from harness.testing import FakeClock
from tests.unit.faults.fakes import FakeLease, Recorder, ScriptedFault, at_once
from tests.unit.faults.test_schedule import use


class Person:
    """Answers with what it was told to, once it was."""

    def __init__(self) -> None:
        self.answer: Granted | Refused | None = None
        self.asked = 0

    def ask(self, one: FaultUse) -> Granted | Refused | None:
        self.asked += 1
        return self.answer


class Stage:
    """One fault of 20 s at the start of a phase from 10 s to 40 s."""

    def __init__(self, permission: Permission, **fields: Any) -> None:
        self.clock, self.calls = FakeClock(), list[str]()
        self.record = Recorder(self.calls)
        self.built: list[FaultUse] = []
        self.use = use(**fields)
        span = (10 * NS_PER_S, 40 * NS_PER_S)
        lease = FakeLease(self.calls)
        self.schedule = FaultSchedule(
            [self.use], {"fault": span}, self.clock, self.record.append, self._build, lease, at_once, permission
        )  # fmt: skip

    def _build(self, one: FaultUse) -> Any:
        self.built.append(one)
        return ScriptedFault(self.calls, {}, one.id).known()

    def run_to(self, end_s: float) -> None:
        while self.clock.now_ns() < end_s * NS_PER_S:
            self.schedule.run_due(self.clock.now_ns())
            self.clock.advance(0.05)

    def steps(self) -> dict[str, float]:
        return {str(e.data["step"]): round(e.t_ns / NS_PER_S, 1) for e in self.record.events}


def test_nothing_is_injected_before_somebody_says_so() -> None:
    person = Person()
    stage = Stage(person)
    stage.run_to(15)
    assert stage.steps() == {}
    assert person.asked > 50
    assert stage.schedule.more_to_come
    person.answer = Granted(stage.use)
    stage.run_to(60)
    steps = stage.steps()
    assert round(steps["heal_intended"] - steps["intended"]) == 20, "it keeps its whole length"
    assert 15.0 <= steps["intended"] <= 15.1


def test_a_refusal_is_recorded_and_final() -> None:
    person = Person()
    stage = Stage(person)
    person.answer = Refused("skipped by the master: enough for today")
    stage.run_to(60)
    assert [(e.data["step"], e.data["reason"]) for e in stage.record.events] == [("skipped", "skipped by the master: enough for today")]
    assert stage.schedule.done
    assert not stage.calls or "f inject" not in stage.calls


def test_what_nobody_approves_in_time_is_skipped() -> None:
    stage = Stage(Person())
    stage.run_to(60)
    (event,) = stage.record.events
    assert event.data["reason"] == "nobody approved it in time: 20s of it no longer fit into fault"
    assert stage.steps() == {"skipped": 21.1}


def test_an_approval_that_comes_too_late_is_refused() -> None:
    person = Person()
    stage = Stage(person, **{"for": "5s"})
    stage.run_to(30)
    stage.clock.advance(6.5)
    person.answer = Granted(stage.use)
    stage.run_to(60)
    assert stage.record.events[0].data["reason"].startswith("approved too late")


def test_an_approval_in_advance_waits_for_its_time() -> None:
    person = Person()
    stage = Stage(person)
    person.answer = Granted(stage.use)
    stage.run_to(60)
    assert stage.steps()["intended"] == 10.0


def test_what_was_changed_is_built_again_and_is_part_of_the_truth() -> None:
    person = Person()
    stage = Stage(person)
    changed = stage.use.model_copy(update={"with_": {"ttft": "1s"}})
    person.answer = Granted(changed)
    stage.run_to(60)
    assert stage.built == [stage.use, changed]
    assert stage.record.events[0].data["changed"] == {"with": {"asked": {}, "injected": {"ttft": "1s"}}}
