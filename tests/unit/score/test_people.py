"""How people fared on a game day, beside the machines; and what a skipped or changed fault does to a verdict."""

from __future__ import annotations

from typing import Any

from harness.record.events import FAULT, GAMEDAY, Event
from harness.record.history import History
from harness.report.gameday import told
from harness.report.material import Material
from harness.score.check import Status
from harness.score.judge import judge
from harness.score.people import people
from tests.history_builder import at_ns, history, scenario, traffic
from tests.unit.report import sample

STORY = (
    "0s steady_state",
    "30s fault",
    "31s fault latency@llm blast=query fix=switch_provider",
    "37s alert llm",
    "51s heal",
    "70s recovery",
    "100s end",
)


def said(t_s: float, by: str = "players", **data: Any) -> Event:
    return Event(at_ns(t_s), GAMEDAY, "truth" if by == "master" else "claim", {"by": by, **data})


def played(*events: Event) -> History:
    found = history(*STORY)
    return History(events=tuple(sorted([*found.events, *events], key=lambda e: e.t_ns)), journeys=found.journeys)


def test_a_run_without_people_has_no_score_of_them() -> None:
    assert people(history(*STORY)) is None


def test_people_and_machines_side_by_side() -> None:
    score = people(
        played(
            said(5, do="saw"),
            said(35, do="saw"),
            said(38, do="suspect", service="query", fault_kind="latency"),
            said(41, do="suspect", service="llm", fault_kind="latency"),
            said(44, do="acted"),
            said(90, do="saw"),
        )
    )
    assert score is not None
    (of,) = score.faults
    assert (of.people.noticed_s, of.people.named, of.people.named_s, of.people.right, of.people.acted_s) == (
        4.0,
        "llm/latency",
        10.0,
        True,
        13.0,
    )
    assert (of.machines.noticed_s, of.machines.right) == (6.0, False)
    assert of.guesses == ("query/latency", "llm/latency")
    assert score.cried == 2


def test_a_wrong_guess_is_none_and_becomes_a_follow_up() -> None:
    day = played(
        said(38, do="suspect", service="query", fault_kind="latency"), said(60, "master", do="note", text="buy cake", follow_up=True)
    )
    score = people(day)
    assert score is not None
    assert not score.faults[0].people.right
    found = told(Material(sample.verdict(()), day, scenario()))
    assert found is not None
    assert found.follow_ups == ("buy cake (master)", "People took f for query/latency: write down how to tell them apart.")


def test_a_skipped_fault_is_never_a_pass() -> None:
    fault = {"id": "f", "type": "llm.slow_first_token", "target": "llm", "with": {"ttft": "4s"}}
    spec = scenario(faults=[fault], expect=[{"fault": "f", "alert": "<= 10s"}])
    base = history("0s steady_state", "30s fault", "70s recovery", "100s end", requests=traffic(0, 100))
    skipped = Event(at_ns(31), FAULT, "truth", {"id": "f", "step": "skipped", "reason": "skipped by the master: late"})
    day = History(events=tuple(sorted([*base.events, skipped], key=lambda e: e.t_ns)), requests=base.requests, journeys=base.journeys)
    results = {r.name: r for r in judge(day, spec)}
    assert results["expect.f.alert"].status is Status.INCONCLUSIVE
    assert results["expect.f.alert"].reason == "fault f was never injected: skipped by the master: late"
    assert results["validity.fault.f"].status is Status.INCONCLUSIVE


def test_a_changed_fault_is_no_plain_pass() -> None:
    spec = scenario(faults=[{"id": "f", "type": "llm.slow_first_token", "target": "llm", "with": {"ttft": "4s"}}])
    base = history(*STORY, requests=traffic(0, 100))
    changed = {"changed": {"with": {"asked": {"ttft": "4s"}, "injected": {"ttft": "1s"}}}}
    events = [
        Event(e.t_ns, e.kind, e.source, {**e.data, **changed}) if e.kind == FAULT and e.data["step"] == "intended" else e
        for e in base.events
    ]
    result = next(
        r
        for r in judge(History(events=tuple(events), requests=base.requests, journeys=base.journeys), spec)
        if r.name == "validity.fault.f"
    )
    assert result.status is Status.WARN
    assert "with {'ttft': '1s'} instead of {'ttft': '4s'}" in result.reason
