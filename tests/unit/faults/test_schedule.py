"""How faults are played: each step in the record before it is done, evidence for each claim, and never a wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from harness.faults.base import FaultError
from harness.faults.play import Spawn, Times, in_thread
from harness.faults.schedule import FaultSchedule, times
from harness.record.clock import NS_PER_S
from harness.scenario.model import FaultUse
from harness.testing import FakeClock
from tests.unit.faults.fakes import FakeLease, Held, Recorder, ScriptedFault, at_once


def use(**fields: Any) -> FaultUse:
    return FaultUse.model_validate({"id": "f", "type": "test.scripted", "target": "retrieval", "at": "fault", "for": "20s", **fields})


class Stage:
    """A schedule on a fake clock, whose fault phase goes from 10 s to 40 s."""

    def __init__(self, *faults: tuple[FaultUse, dict[str, list[Any]]], spawn: Spawn = at_once) -> None:
        self.clock = FakeClock()
        self.calls: list[str] = []
        self.record = Recorder(self.calls)
        self.lease = FakeLease(self.calls)
        scripts = {one.id: script for one, script in faults}
        self.schedule = FaultSchedule(
            [one for one, _ in faults],
            {"fault": (10 * NS_PER_S, 40 * NS_PER_S)},
            self.clock,
            self.record.append,
            lambda one: ScriptedFault(self.calls, scripts[one.id], one.id).known(),
            self.lease,
            spawn,
        )

    def run_to(self, end_s: float, step_s: float = 0.05) -> None:
        while self.clock.now_ns() < end_s * NS_PER_S:
            self.schedule.run_due(self.clock.now_ns())
            self.clock.advance(step_s)


def test_a_fault_is_played_in_order_and_written_down_before_it_is_done() -> None:
    stage = Stage((use(), {}))
    stage.run_to(60)
    assert stage.calls == [
        "f -> intended",
        "f undo",
        "f hold 1",
        "f inject",
        "f -> injected",
        "f verify",
        "f -> effective",
        "f -> heal_intended",
        "f heal",
        "f -> healed",
        "f gone",
        "f -> gone",
        "f let_go",
    ]
    assert stage.schedule.done


def test_steps_happen_at_their_times_and_carry_evidence() -> None:
    stage = Stage((use(at="fault+5s"), {"verify": [None, None, {"probe": "refused"}]}))
    stage.run_to(60)
    at_s = {event.data["step"]: event.t_ns / NS_PER_S for event in stage.record.events}
    assert at_s["intended"] == pytest.approx(15, abs=0.06)
    assert at_s["effective"] == pytest.approx(15.5, abs=0.15)  # the third look, a quarter of a second apart
    assert at_s["heal_intended"] == pytest.approx(35, abs=0.06)
    assert stage.record.of("effective").data["evidence"] == {"probe": "refused"}
    assert stage.record.of("gone").data["evidence"] == {"seen": False}
    assert stage.record.of("intended").data["fault_kind"] == "crash"


def test_nothing_happens_before_its_time() -> None:
    stage = Stage((use(), {}))
    stage.run_to(9.9)
    assert (stage.calls, stage.schedule.active, stage.schedule.done) == ([], (), False)


def test_without_for_a_fault_ends_with_its_phase() -> None:
    found = times(use(**{"for": None}), (10 * NS_PER_S, 40 * NS_PER_S))
    assert found == Times(10 * NS_PER_S, 40 * NS_PER_S, 10.0)
    assert times(use(**{"for": "6s"}), (10 * NS_PER_S, 40 * NS_PER_S)).verify_within_s == 3.0


def test_a_fault_follows_another_once_that_has_shown_its_effect() -> None:
    """In the order of the file or not; its own end counts from its own beginning, and its truth says what it follows."""
    late = use(id="late", after="first+2s", **{"for": "5s"})
    stage = Stage((late, {}), (use(id="first", at="fault+5s"), {"verify": [None, None, {"seen": True}]}))
    stage.run_to(60)
    at_s = {(event.data["id"], event.data["step"]): event.t_ns / NS_PER_S for event in stage.record.events}
    assert at_s["late", "intended"] == pytest.approx(at_s["first", "effective"] + 2.0, abs=0.11)
    assert at_s["late", "heal_intended"] == pytest.approx(at_s["late", "intended"] + 5.0, abs=0.11)
    told = [event.data for event in stage.record.events if event.data["step"] == "intended"]
    assert [(data["id"], data.get("after")) for data in told] == [("first", None), ("late", "first")]
    assert stage.schedule.done


def test_a_cascade_goes_on_as_far_as_effects_show() -> None:
    third = use(id="third", after="second", **{"for": None})
    stage = Stage((use(id="first"), {}), (use(id="second", after="first+1s", **{"for": None}), {}), (third, {}))
    stage.run_to(60)
    assert [e.data["id"] for e in stage.record.events if e.data["step"] == "intended"] == ["first", "second", "third"]
    assert stage.schedule.done


@pytest.mark.parametrize("first", [{"verify": [None]}, {"inject": [FaultError("no")]}])
def test_what_follows_a_fault_without_effect_never_begins(first: dict[str, list[Any]]) -> None:
    stage = Stage((use(id="first"), first), (use(id="late", after="first"), {}))
    stage.run_to(60)
    assert not any(call.startswith("late") for call in stage.calls)
    assert stage.schedule.more_to_come and not stage.schedule.done
    assert stage.schedule.heal_all() is True
    assert stage.schedule.done and not any(call.startswith("late") for call in stage.calls)


def test_what_would_follow_after_its_phase_never_begins() -> None:
    stage = Stage((use(id="first", at="fault+25s"), {}), (use(id="late", after="first+9s"), {}))
    stage.run_to(60)
    assert not any(call.startswith("late") for call in stage.calls)


def test_a_fault_that_never_bites_is_said_so_and_healed() -> None:
    stage = Stage((use(), {"verify": [None]}))
    stage.run_to(60)
    assert stage.record.steps() == ["intended", "injected", "not_effective", "heal_intended", "healed", "gone"]
    event = stage.record.of("not_effective")
    assert event.t_ns / NS_PER_S == pytest.approx(20, abs=0.2)
    assert event.data["reason"] == "no evidence within 10 s that it bites"


def test_the_last_look_that_failed_is_quoted() -> None:
    stage = Stage((use(), {"verify": [FaultError("no route")]}))
    stage.run_to(60)
    assert stage.record.of("not_effective").data["reason"] == "no evidence within 10 s that it bites; last look: FaultError: no route"


def test_a_failing_injection_is_healed_at_once_and_proved_gone() -> None:
    stage = Stage((use(), {"inject": [FaultError("cannot kill")]}))
    stage.run_to(12)
    assert stage.record.steps() == ["intended", "failed", "heal_intended", "healed", "gone"]
    assert stage.record.of("failed").data["reason"] == "inject: FaultError: cannot kill"
    assert stage.calls[-1] == "f let_go"


def test_a_failing_heal_is_tried_again() -> None:
    stage = Stage((use(), {"heal": [FaultError("busy"), FaultError("busy"), None]}))
    stage.run_to(60)
    assert stage.record.steps()[-3:] == ["heal_intended", "healed", "gone"]
    assert stage.calls.count("f heal") == 3
    assert stage.record.of("healed").t_ns / NS_PER_S == pytest.approx(32, abs=0.2)


def test_a_heal_that_never_works_is_a_failure_and_keeps_the_lease() -> None:
    stage = Stage((use(), {"heal": [FaultError("broken")], "gone": [None]}))
    stage.run_to(90)
    assert stage.record.steps()[-3:] == ["heal_intended", "failed", "not_gone"]
    assert stage.record.of("failed").data["reason"] == "heal: FaultError: broken"
    assert "f let_go" not in stage.calls
    assert stage.schedule.done


def test_a_fault_that_is_never_gone_is_said_so_and_stays_leased() -> None:
    stage = Stage((use(), {"gone": [None]}))
    stage.run_to(60)
    event = stage.record.of("not_gone")
    assert event.t_ns / NS_PER_S == pytest.approx(45, abs=0.3)
    assert event.data["reason"] == "no evidence within 15 s that it is gone"
    assert "f let_go" not in stage.calls


def test_the_loop_is_never_held_up_by_a_verb_that_takes_its_time() -> None:
    held = Held()
    stage = Stage((use(), {}), spawn=held)
    stage.run_to(12)
    assert stage.record.steps() == ["intended"]
    assert stage.schedule.active == ("f",)
    held.let_go()
    stage.run_to(12.2)
    assert stage.record.steps() == ["intended", "injected"]
    held.let_go()
    stage.run_to(12.4)
    assert stage.record.steps() == ["intended", "injected", "effective"]


def test_an_injection_that_outlasts_its_fault_is_still_looked_at_once() -> None:
    held = Held()
    stage = Stage((use(), {}), spawn=held)
    stage.run_to(35)
    held.let_go()  # the injection, five seconds after its end was due
    stage.run_to(35.2)
    held.let_go()  # the look
    stage.run_to(35.4)
    assert stage.record.steps() == ["intended", "injected", "effective", "heal_intended"]


def test_a_look_begun_in_time_counts_although_it_ends_late() -> None:
    held = Held()
    stage = Stage((use(), {}), spawn=held)
    stage.run_to(11)
    held.let_go()
    stage.run_to(29)  # the look began at 11 s, and all looks were to begin by 21 s
    held.let_go()
    stage.run_to(29.2)
    assert stage.record.steps() == ["intended", "injected", "effective"]


def test_heal_all_heals_the_latest_first_and_proves_each() -> None:
    stage = Stage((use(id="a"), {}), (use(id="b", at="fault+2s"), {}), (use(id="c", at="fault+25s", **{"for": "5s"}), {}))
    stage.run_to(15)
    assert stage.schedule.active == ("a", "b")
    del stage.calls[:]
    assert stage.schedule.heal_all()
    healing = ["-> heal_intended", "heal", "-> healed", "gone", "-> gone", "let_go"]
    assert stage.calls == [f"b {step}" for step in healing] + [f"a {step}" for step in healing]
    assert stage.schedule.done
    del stage.calls[:]
    assert stage.schedule.heal_all()
    stage.run_to(60)
    assert stage.calls == []


def test_heal_all_waits_for_the_proof_and_says_when_there_is_none() -> None:
    stage = Stage((use(), {"gone": [None]}))
    stage.run_to(15)
    assert not stage.schedule.heal_all()
    assert stage.record.steps()[-2:] == ["healed", "not_gone"]


def test_heal_all_gives_up_on_a_verb_that_hangs() -> None:
    stage = Stage((use(), {}), spawn=Held())
    stage.run_to(15)
    assert not stage.schedule.heal_all()
    assert stage.record.of("not_gone").data["reason"] == "gave up while injecting"


def test_a_verb_that_hangs_holds_up_no_other() -> None:
    """Of one service too: its turn comes after half a second."""
    held = Held()
    stage = Stage((use(id="a"), {}), (use(id="hung", at="fault+2s"), {}))
    stage.run_to(11)
    stage.schedule._plays[1]._spawn = held  # its verbs never end
    stage.run_to(15)
    began_ns = stage.clock.now_ns()
    assert not stage.schedule.heal_all(urgent=True)
    healed = {e.data["id"]: (e.t_ns - began_ns) / NS_PER_S for e in stage.record.events if e.data["step"] == "healed"}
    assert healed == {"a": pytest.approx(0.5, abs=0.1)}
    assert stage.calls.count("take back") == 1, "what is not healed soon is taken back by the watchdog, once"
    assert (stage.clock.now_ns() - began_ns) / NS_PER_S == pytest.approx(20, abs=0.2)
    assert stage.record.steps("hung")[-1] == "not_gone"


def test_nothing_is_taken_back_by_the_watchdog_where_nobody_waits_or_all_is_healed() -> None:
    for urgent, script in ((False, {"heal": [FaultError("busy"), FaultError("busy"), None]}), (True, {})):
        stage = Stage((use(), script))
        stage.run_to(15)
        assert stage.schedule.heal_all(urgent)
        assert "take back" not in stage.calls


def test_what_has_not_begun_never_begins_once_all_is_to_be_healed() -> None:
    stage = Stage((use(id="a"), {"gone": [None, None, {"seen": False}]}), (use(id="late", at="fault+5s"), {}))
    stage.run_to(14.9)
    assert stage.schedule.heal_all(urgent=True)
    stage.run_to(60)
    assert stage.record.steps("late") == []


def test_an_interrupted_run_does_not_wait_for_a_first_look() -> None:
    held = Held()
    stage = Stage((use(), {}), spawn=held)
    stage.run_to(11)
    held.let_go()
    stage.run_to(11.2)
    assert not stage.schedule.heal_all()  # the heal is held, too
    assert stage.record.steps() == ["intended", "injected", "not_effective", "heal_intended", "not_gone"]
    assert stage.record.of("not_effective").data["reason"] == "no evidence before its end that it bites"


def test_verbs_run_in_threads_beside_the_loop() -> None:
    let_go = threading.Event()
    waiting, failing = in_thread(let_go.wait), in_thread(lambda: int("x"))
    assert isinstance(failing.exception(10), ValueError)
    assert not waiting.done()
    let_go.set()
    assert waiting.result(10) is True


def test_the_watchdog_hears_from_the_loop() -> None:
    stage = Stage((use(), {}))
    stage.run_to(1, step_s=0.1)
    assert stage.lease.beats == 10
