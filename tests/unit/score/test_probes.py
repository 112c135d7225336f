"""Answers to probes, in the time that each is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.record.events import PROBE, Event
from harness.record.history import History
from harness.score import probes
from harness.score.check import Result, Status
from tests.history_builder import at_ns, history, scenario

LINES = ("0s steady_state", "30s fault", "30s fault crash@retrieval-2", "50s heal", "70s recovery", "100s end")
PHASES = {"steady_state": "30s", "fault": "40s", "recovery": "30s"}
FAULTS = [{"id": "f", "type": "process.kill", "target": "retrieval-2", "at": "fault", "for": "20s"}]
NO = {"ok": False, "detail": "HTTP 503"}
UNASKED = {"ok": None, "detail": "no such metric"}


def answers(*seconds: float, **data: Any) -> list[Event]:
    return [Event(at_ns(t), PROBE, "telemetry", {"id": "p", "ok": True, "detail": "HTTP 200", **data}) for t in seconds]


def every(start: int, end: int, **other: dict[str, Any]) -> list[Event]:
    """An answer a second: yes, but for those of `at_<second>`."""
    return [event for t in range(start, end) for event in answers(t, **other.get(f"at_{t}", {}))]


def judged(mode: str, given: list[Event], lines: tuple[str, ...] = LINES, **fields: Any) -> Result:
    of: History = history(*lines)
    of = replace(of, events=tuple(sorted([*of.events, *given], key=lambda e: e.t_ns)))
    probe = {"id": "p", "mode": mode, "http": {"service": "gateway"}, **({"fault": "f"} if mode == "on_fault" else {}), **fields}
    (result,) = probes.check(of, scenario(phases=PHASES, faults=FAULTS, probes=[probe]))
    return result


def test_whole_result() -> None:
    assert judged("continuous", every(0, 100, at_33=NO, at_40=NO), failures=1) == Result(
        name="probe.p",
        group="probe",
        status=Status.FAIL,
        reason="2 of 100 answers throughout the run were no, <= 1 may be",
        value=2.0,
        limit="<= 1",
        unit="number",
        samples=100,
        evidence=("33s: HTTP 503", "40s: HTTP 503"),
    )


@pytest.mark.parametrize(
    ("mode", "at", "status"),
    [
        ("continuous", "at_5", Status.FAIL),
        ("continuous", "at_95", Status.FAIL),
        ("during", "at_5", Status.PASS),
        ("during", "at_60", Status.FAIL),
        ("on_fault", "at_29", Status.PASS),
        ("on_fault", "at_30", Status.FAIL),
        ("on_fault", "at_49", Status.FAIL),
        ("on_fault", "at_50", Status.PASS),
    ],
)
def test_only_its_own_time_counts(mode: str, at: str, status: Status) -> None:
    assert judged(mode, every(0, 100, **{at: NO})).status is status


def test_what_could_not_be_asked_is_neither_yes_nor_no() -> None:
    assert judged("on_fault", every(0, 100, at_35=UNASKED)).status is Status.INCONCLUSIVE
    assert judged("on_fault", every(0, 100, at_35=UNASKED), failures=1).status is Status.PASS  # even if it were a no
    assert judged("on_fault", every(0, 100, at_35=UNASKED, at_36=NO)).status is Status.FAIL


def test_a_probe_that_is_asked_too_rarely_proves_nothing() -> None:
    found = judged("on_fault", every(0, 39))
    assert (found.status, found.reason) == (
        Status.INCONCLUSIVE,
        "it was asked 9 times while f was active, and should have been at least 20 times",
    )
    assert judged("continuous", []).status is Status.INCONCLUSIVE
    assert judged("continuous", every(0, 100), every="5s").status is Status.PASS


def test_a_fault_without_evidence_has_no_time() -> None:
    lines = ("0s steady_state", "30s fault", "30s intended crash@retrieval-2", "50s heal", "70s recovery", "100s end")
    assert judged("on_fault", every(0, 100), lines).reason == "fault f was not effective"


def test_a_run_that_was_cut() -> None:
    lines = ("0s steady_state", "30s fault", "30s fault crash@retrieval-2", "50s cut")
    assert judged("continuous", every(0, 50), lines).reason == "the record ends inside fault"
    assert judged("after", every(50, 51), lines).reason == "the faults were never all healed, so there is no after"


@pytest.mark.parametrize(
    ("mode", "given", "status", "reason"),
    [
        ("before", answers(29), Status.PASS, "yes before the faults: HTTP 200"),
        ("before", answers(27, **NO) + answers(29), Status.PASS, "yes at the 2nd try before the faults: HTTP 200"),
        ("before", answers(27, 28, 29, **NO), Status.FAIL, "no at the 3rd try before the faults: HTTP 503"),
        ("before", answers(30), Status.INCONCLUSIVE, "it was never asked before the faults"),
        ("before", answers(29, **UNASKED), Status.INCONCLUSIVE, "it could not be asked: no such metric"),
        ("after", answers(49), Status.INCONCLUSIVE, "it was never asked after the faults"),
        ("after", answers(100), Status.PASS, "yes after the faults: HTTP 200"),
        ("after", answers(100, **NO), Status.FAIL, "no after the faults: HTTP 503"),
    ],
)
def test_once(mode: str, given: list[Event], status: Status, reason: str) -> None:
    found = judged(mode, given)
    assert (found.status, found.reason) == (status, reason)
