"""Reasons that a reader can act on, and what must not be left behind."""

from __future__ import annotations

from typing import Any

import pytest

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.score import validity
from harness.score.check import Result, Status
from harness.score.preconditions import Preconditions
from tests.history_builder import at_ns, history, scenario, traffic

ASKED = scenario(
    faults=[{"id": "f", "type": "t", "target": "llm", "for": "40s"}],
    objectives={"steady_state": {"availability": ">= 99%"}},
)
RUN = ("0s steady_state", "30s fault", "70s recovery", "100s end")


def told(*lines: str, more: tuple[Event, ...] = (), without: str = "", **fields: Any) -> History:
    """A run of 100 s; `without` leaves out the events of one kind."""
    found = history(*RUN, *lines, requests=traffic(0, 100), **fields)
    events = (*(e for e in found.events if e.kind != without), *more)
    return History(events=events, requests=found.requests, journeys=found.journeys)


def by_name(results: Any) -> dict[str, Result]:
    return {r.name: r for r in results}


def test_the_first_thing_that_went_wrong_is_told() -> None:
    lines = ("30s intended latency@llm", "31s failed reason=refused", "32s heal-only", "50s not_gone reason=unreachable")
    assert by_name(validity.check(told(*lines), ASKED))["validity.fault.f"].reason == "fault f was not effective (failed: refused)"
    assert by_name(validity.safety(told(*lines), ASKED))["safety.f.gone"].reason == "fault f is not proved gone (not_gone: unreachable)"


@pytest.mark.parametrize(("left", "status"), [([], Status.PASS), (["pid 42"], Status.FAIL)])
def test_nothing_may_be_left(left: list[str], status: Status) -> None:
    finished = Event(at_ns(101), ev.WATCHDOG, "truth", {"state": "finished", "left": left})
    result = by_name(validity.safety(told(more=(finished,), without=ev.WATCHDOG), ASKED))["safety.nothing_left"]
    assert (result.status, result.evidence) == (status, tuple(left))


INJECTED = ("30s intended latency@llm", "31s injected", "32s effective", "40s healed", "41s gone")


@pytest.mark.parametrize(
    ("recorded", "status", "evidence"),
    [
        ([[]], Status.PASS, ()),
        ([["query-1: mounts: /x, was nothing"]], Status.FAIL, ("query-1: mounts: /x, was nothing",)),
        ([], Status.INCONCLUSIVE, ()),
        ([None], Status.INCONCLUSIVE, ()),
    ],
)
def test_the_world_must_be_as_before_the_first_fault(recorded: list[Any], status: Status, evidence: tuple[str, ...]) -> None:
    events = tuple(Event(at_ns(99), ev.FINGERPRINT, "truth", {"left": left}) for left in recorded)
    result = by_name(validity.safety(told(*INJECTED, more=events, without=ev.FINGERPRINT), ASKED))["safety.as_before"]
    assert (result.status, result.evidence) == (status, evidence)


def test_where_nothing_was_injected_there_is_nothing_to_compare() -> None:
    assert "safety.as_before" not in by_name(validity.safety(told(without=ev.FINGERPRINT), ASKED))


@pytest.mark.parametrize("data", [None, {"state": "started"}, {"state": "finished"}, {"state": "finished", "left": None}])
def test_that_nothing_is_left_must_be_recorded(data: dict[str, Any] | None) -> None:
    more = () if data is None else (Event(at_ns(101), ev.WATCHDOG, "truth", data),)
    results = by_name(validity.safety(told(more=more, without=ev.WATCHDOG), ASKED))
    assert results["safety.nothing_left"].status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("states", "status"), [(["ready", "stopped"], Status.PASS), (["ready"], Status.INCONCLUSIVE), ([], Status.INCONCLUSIVE)]
)
def test_the_stack_must_be_stopped(states: list[str], status: Status) -> None:
    events = tuple(Event(at_ns(101 + i), ev.STACK, "truth", {"state": state}) for i, state in enumerate(states))
    assert by_name(validity.safety(told(more=events, without=ev.STACK), ASKED))["safety.stack_stopped"].status is status


def test_steady_state_is_asked_of_a_run_that_still_goes_on() -> None:
    growing = history("0s steady_state", "30s fault", requests=traffic(0, 30))
    before_end = History(
        events=tuple(e for e in growing.events if e.data.get("state") != "end"), requests=growing.requests, journeys=growing.journeys
    )
    assert [r.status for r in validity.steady_state(before_end, ASKED, live=True)] == [Status.PASS]
    assert [r.status for r in validity.steady_state(before_end, ASKED)] == [Status.INCONCLUSIVE]


def test_requests_that_are_still_on_their_way_do_not_stop_a_run() -> None:
    growing = history("0s steady_state", "30s fault", requests=traffic(0, 30))
    few = scenario(objectives={"steady_state": {"availability": ">= 99.9%"}}, faults=ASKED.model_dump(by_alias=True)["faults"])
    assert [r.status for r in validity.steady_state(growing, few, live=True)] == [Status.PASS]
    assert [r.status for r in validity.steady_state(growing, few)] == [Status.INCONCLUSIVE]


def growing(told: dict[int | None, int], *, answered_s: float = 18.0, lost: tuple[int, ...] = (), late: int = 0) -> History:
    """30 s of 25/s that go on, of which those of the first seconds have been answered; each worker told its count at 29.5 s."""
    rows = traffic(0, answered_s)
    rows["start_ns"][:late] += 30_000_000
    found = history("0s steady_state", "30s fault", *(f"{n}.5s probe cpu_ratio=0.1 steal_ratio=0" for n in range(29)), requests=rows)
    counts = [
        Event(at_ns(29.5 if worker not in lost else 10.0), ev.LOAD, "truth", {"state": "health", "arrivals": n, "worker": worker})
        for worker, n in told.items()
    ]
    wells = [Event(e.t_ns, e.kind, e.source, {**e.data, "arrivals": 0, "worker": next(iter(told))}) for e in found.events if _healthy(e)]
    losses = [Event(at_ns(12.0), ev.LOAD, "truth", {"state": "worker_lost", "worker": worker}) for worker in lost]
    begun = Event(at_ns(0.0), ev.LOAD, "truth", {"state": "begun", "t0_ns": at_ns(0.0)})
    events = sorted((begun, *(e for e in found.events if not _healthy(e)), *wells, *counts, *losses), key=lambda e: e.t_ns)
    return History(events=tuple(events), requests=found.requests, journeys=found.journeys)


def _healthy(event: Event) -> bool:
    return event.data.get("state") == "health"


@pytest.mark.parametrize(
    ("told", "options", "reason"),
    [
        ({None: 737}, {}, None),  # 450 are in the record; the others have been sent, and have no answer yet
        ({None: 737}, {"late": 6}, None),  # 1.3 % of those in the record, 0.8 % of those that were sent
        ({None: 737}, {"late": 8}, "the generator sent late: p99 of the lag is 30ms (limit 20ms)"),
        ({None: 400}, {}, "the generator sent 400 of 738 offered arrivals in the first 30s of the run"),
        ({0: 369, 1: 368}, {}, None),
        ({0: 369, 1: 125}, {"lost": (1,)}, "the generator sent 494 of 738 offered arrivals in the first 30s of the run"),
    ],
)
def test_what_has_no_answer_yet_is_not_taken_for_unsent(told: dict[int | None, int], options: dict[str, Any], reason: str | None) -> None:
    (result,) = validity.steady_state(growing(told, **options), ASKED, live=True)
    assert (result.status, result.reason) == (
        (Status.PASS, "steady state reached before the first fault") if reason is None else (Status.INCONCLUSIVE, reason)
    )


def test_steady_state_is_not_asked_where_no_fault_follows() -> None:
    assert list(validity.steady_state(told(), scenario(objectives={"steady_state": {"availability": ">= 99%"}}))) == []


SHORT = "the generator offered 1875 of the 2500 arrivals of its schedule"


@pytest.mark.parametrize(
    ("expected", "early", "lost", "reason"),
    [
        (2500.0, False, 1, SHORT),  # a worker died, and what it had still to send was never offered
        (2500.0, False, 0, SHORT),
        (1900.0, False, 1, None),  # one of many: less than the noise of a schedule
        (2500.0, True, 0, None),  # stopped on purpose; such a run cannot pass anyway
        (None, False, 0, None),  # a closed load: its arrivals depend on the answers
        ("?", False, 0, None),
    ],
)
def test_a_load_that_fell_short_of_its_schedule_is_inconclusive(expected: Any, early: bool, lost: int, reason: str | None) -> None:
    rows = traffic(0, 75)
    figures = {"arrivals": len(rows), "early": early, "workers_lost": lost}
    found = history("0s steady_state", "100s end", requests=rows, load=figures)
    begun = Event(at_ns(0), ev.LOAD, "truth", {"state": "started"} | ({} if expected is None else {"expected_arrivals": expected}))
    told = History(events=(*found.events, begun), requests=rows, journeys=found.journeys)
    replayed = scenario(load={"shape": [{"trace": {"file": "elsewhere.csv", "format": "azure"}}]}, objectives=ASKED.objectives)
    result = by_name(validity.check(told, replayed))["validity.load"]
    assert (result.status, result.reason) == ((Status.PASS, "1875 requests recorded") if reason is None else (Status.INCONCLUSIVE, reason))


@pytest.mark.parametrize(
    ("heard_s", "closed", "inconclusive"),
    [
        (70.0, True, ["fault", "recovery"]),
        (66.0, True, ["steady_state", "fault", "recovery"]),  # what its users waited for when it was lost may have been due 5 s before
        (99.9, True, ["recovery"]),
        (70.0, False, []),  # what an open load offers, and so what is missing of it, is known
    ],
)
def test_a_closed_load_that_lost_a_worker_is_inconclusive_from_then_on(heard_s: float, closed: bool, inconclusive: list[str]) -> None:
    rows = traffic(0, 100)
    phases = ("0s steady_state", "62s fault", "80s recovery", "100s end")
    found = history(*phases, requests=rows, load={"arrivals": len(rows), "workers_lost": 1})
    lost = Event(at_ns(100.0), ev.LOAD, "truth", {"state": "worker_lost", "worker": 1, "heard_ns": at_ns(heard_s)})
    told = History(events=(*found.events, lost), requests=rows, journeys=found.journeys)
    model = {"closed": {"users": 20}} if closed else {"shape": [{"constant": "25/s"}]}
    objectives = {phase: {"availability": ">= 99%"} for phase in ("steady_state", "fault", "recovery")}
    lengths = {"steady_state": "62s", "fault": "18s", "recovery": "20s"}
    asked = scenario(load={**model, "timeout": "5s"}, phases=lengths, objectives=objectives)
    reasons = {phase: Preconditions(told, asked).generator(phase) for phase in objectives}
    expected = f"worker 1 was lost {heard_s}s into the run, and its users asked nothing more"
    assert reasons == {phase: expected if phase in inconclusive else None for phase in objectives}
