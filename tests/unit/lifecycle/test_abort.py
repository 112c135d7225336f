"""Abort rules on a growing record: how long they must hold, of what, and after which grace."""

from __future__ import annotations

from typing import Any

from harness.lifecycle.abort import AbortWatch
from harness.record.requests import Outcome
from harness.score.context import Context
from tests.history_builder import JOURNEYS, at_ns, scenario, together, traffic

HEALTHY, BROKEN = traffic(0, 20), traffic(20, 60, outcome=Outcome.ERROR)


def fires_at(rule: dict[str, Any], rows: Any = None) -> float | None:
    """The first half second at which the rule ends a run of 60 s."""
    watch = AbortWatch(scenario(abort=[rule]), Context(JOURNEYS))
    rows = together(HEALTHY, BROKEN) if rows is None else rows
    times = (n / 2.0 for n in range(121))
    return next((t for t in times if watch.check(rows[rows["end_ns"] <= at_ns(t)], at_ns(0), at_ns(t)) is not None), None)


def test_it_must_hold_all_the_time() -> None:
    assert fires_at({"availability": "< 50%", "for": "10s"}) == 30.0
    assert fires_at({"availability": "< 50%", "for": "45s"}) is None


def test_grace_is_no_part_of_that_time() -> None:
    assert fires_at({"availability": "< 50%", "for": "10s", "grace": "15s"}) == 30.0
    assert fires_at({"availability": "< 50%", "for": "10s", "grace": "30s"}) == 40.0
    assert fires_at({"availability": "< 50%", "for": "10s", "grace": "51s"}) is None


def test_of_a_route() -> None:
    rows = traffic(0, 60, journey=["ask", "ingest"], every={2: {"outcome": Outcome.ERROR}})
    assert fires_at({"availability": "< 40%", "for": "10s"}, rows) is None
    assert fires_at({"availability of route ask": "< 40%", "for": "10s"}, rows) == 10.0
    assert fires_at({"availability of route ingest": "< 40%", "for": "10s"}, rows) is None


def test_what_is_said_of_it() -> None:
    watch = AbortWatch(scenario(abort=[{"availability of route ask": "< 50%", "for": "5s"}]), Context(JOURNEYS))
    assert watch.check(BROKEN, at_ns(20), at_ns(30)) == {"rule": "availability of route ask < 50%", "for_s": 5.0, "value": 0.0}
