"""Truth and claims are read out of events; a record that stops in the middle gives what is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.record import events as ev
from harness.record import store, views
from harness.record.clock import WallAnchor, utc_now
from harness.record.events import Event
from harness.record.frames import FrameWriter
from harness.record.history import Question
from harness.record.journal import Journal
from harness.record.requests import REQUEST_DTYPE


def fault(t: int, step: str, **data: object) -> Event:
    return Event(t, ev.FAULT, "truth", {"id": "f", "step": step, **data})


INTENDED = fault(
    1, "intended", type="process.kill", fault_kind="crash", service="retrieval", instance="retrieval-2",
    accepted=["retrieval"], blast_radius=["retrieval", "query"], recoverable_by=["restart"],
)  # fmt: skip


def test_a_fault_has_an_onset_only_with_evidence() -> None:
    injected = [INTENDED, fault(2, "injected")]
    assert views.faults(injected)[0].onset_ns is None
    (whole,) = views.faults([*injected, fault(5, "effective", evidence={"probe": "refused"})])
    assert (whole.onset_ns, whole.effective_ns, whole.evidence["effective"]) == (2, 5, {"probe": "refused"})


def test_the_first_time_of_a_step_counts() -> None:
    (truth,) = views.faults([INTENDED, fault(3, "healed"), fault(9, "healed")])
    assert truth.healed_ns == 3


def test_a_step_may_be_dated_by_its_evidence() -> None:
    (truth,) = views.faults([INTENDED, fault(9, "injected", at_ns=4)])
    assert truth.injected_ns == 4


@pytest.mark.parametrize("step", ["failed", "not_effective", "not_gone"])
def test_a_failed_step_keeps_its_reason(step: str) -> None:
    (truth,) = views.faults([INTENDED, fault(3, step, reason="no route")])
    assert truth.failure == f"{step}: no route"


def test_steps_of_a_fault_that_was_never_intended_are_ignored() -> None:
    assert views.faults([fault(3, "injected")]) == ()


def test_phases_keep_an_open_end() -> None:
    start = Event(1, ev.PHASE, "truth", {"name": "warmup", "state": "start", "planned_end_ns": 10})
    end = Event(8, ev.PHASE, "truth", {"name": "warmup", "state": "end"})
    assert views.phases([start]) == (views.PhaseSpan("warmup", 1, None, 10),)
    assert views.phases([start, end]) == (views.PhaseSpan("warmup", 1, 8, 10),)


def test_phases_meet_where_they_were_planned_to() -> None:
    """The harness writes a border down some milliseconds later, and arrivals in between belong to the phase that was due."""
    told = [
        Event(2, ev.PHASE, "truth", {"name": "warmup", "state": "start", "planned_start_ns": 1, "planned_end_ns": 10}),
        Event(12, ev.PHASE, "truth", {"name": "warmup", "state": "end"}),
        Event(14, ev.PHASE, "truth", {"name": "steady_state", "state": "start", "planned_start_ns": 10, "planned_end_ns": 20}),
    ]
    assert views.phases(told) == (views.PhaseSpan("warmup", 1, 10, 10), views.PhaseSpan("steady_state", 10, None, 20))


def test_actions_are_told_with_what_became_of_them() -> None:
    asked = Event(1, ev.ACTION, "claim", {"action_id": "a", "step": "requested", "verb": "restart", "service": "cache"})
    done = Event(4, ev.ACTION, "claim", {"action_id": "a", "step": "failed", "detail": "port taken"})
    assert views.actions([asked, done]) == (views.Action(1, "a", "restart", "cache", None, {}, None, 4, "failed", "port taken"),)


def test_an_alert_without_a_service_has_none() -> None:
    event = Event(1, ev.ALERT, "claim", {"fingerprint": "x", "status": "firing", "labels": {"alertname": "Odd"}})
    assert views.alerts([event]) == (views.Alert(1, "x", "Odd", None, "firing", "", {"alertname": "Odd"}, {}),)


def test_a_run_directory_is_read_back_merged_by_time(tmp_path: Path) -> None:
    directory = store.create(tmp_path, "a scenario!", utc_now(), "abc1234")
    again = store.create(tmp_path, "a scenario!", utc_now(), "abc1234")
    assert directory.path != again.path
    assert directory.path.parent.name == "a-scenario-"
    store.write_run_file(directory, {"seed": 7})
    for path, times in ((directory.events, (1, 5)), (directory.load_events, (3,)), (directory.watchdog_events, (9,))):
        journal = Journal(path)
        for t in times:
            journal.append(Event(t, ev.LOAD, "truth", {}))
        journal.close()
    writer = FrameWriter(directory.requests / "0.seg", REQUEST_DTYPE, {"journeys": ["home"]})
    writer.append(np.zeros(2, dtype=REQUEST_DTYPE))
    writer.close()
    (directory.requests / "1.seg").write_bytes(b"nonsense")
    directory.questions.write_text('{"documents": 4, "questions": [{"id": 1, "gold": [2], "answerable": true}]}')
    history = store.read(directory.path)
    assert [e.t_ns for e in history.events] == [1, 3, 5, 9]
    assert (len(history.requests), history.journeys, history.run["seed"], history.documents) == (2, ("home",), 7, 4)
    assert history.questions == {1: Question(1, frozenset({2}), True)}
    assert history.damage == ("1.seg: not a segment file",)


def test_what_is_no_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(store.RecordError, match=r"no run\.json here; give the directory of a run"):
        store.read(tmp_path)


def test_a_monotonic_time_can_be_dated() -> None:
    anchor = WallAnchor("2026-01-02T03:04:05+00:00", 1_000_000_000)
    assert anchor.at(3_500_000_000).isoformat() == "2026-01-02T03:04:07.500000+00:00"
