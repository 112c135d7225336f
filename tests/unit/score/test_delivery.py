"""What is said of the load itself, from records written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.gate import Verdict
from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.record.requests import REQUEST, Outcome
from harness.report.delivery import load_lines
from harness.report.material import Material
from harness.scenario.loader import load_text
from harness.scenario.model import Scenario
from harness.score.check import Status
from harness.score.delivery import delivery

S = 1_000_000_000
SWEEP = "name: a\nload: {shape: [{sweep: {from: 10/s, to: 40/s, steps: 3}}], mix: {ask: 1}}\nphases: {steady_state: 30s}\n"
CLOSED = "name: a\nload: {closed: {users: 5, think_time: 2s}}\nphases: {steady_state: 30s}\n"


def event(t_s: float, kind: str, **data: Any) -> Event:
    return Event(100 * S + round(t_s * S), kind, "truth", data)


def rows(times_s: list[float], latency_s: list[float]) -> Any:
    made = np.zeros(len(times_s), dtype=REQUEST)
    made["seq"] = np.arange(len(times_s))
    made["intended_ns"] = [100 * S + round(t * S) for t in times_s]
    made["start_ns"] = made["intended_ns"]
    made["end_ns"] = made["intended_ns"] + [round(x * S) for x in latency_s]
    return made


def history(requests: Any, *load: Event) -> History:
    phase = {"name": "steady_state", "planned_start_ns": 100 * S, "planned_end_ns": 130 * S}
    return History((event(0, ev.PHASE, state="start", **phase), event(30, ev.PHASE, state="end", **phase), *load), requests, ("ask",))


def lines(history: History, scenario: Scenario) -> dict[str, str]:
    return dict(load_lines(Material(Verdict(Status.PASS, "", (), None), history, scenario)))


def test_a_sweep_says_where_the_system_fell_behind() -> None:
    """Ten seconds each of 10, 20 and 40 a second; the system does 25."""
    times_s = [*np.arange(0, 10, 0.1), *np.arange(10, 20, 0.05), *np.arange(20, 30, 0.025)]
    latency_s = [0.1 if t < 20 else 0.1 + (t - 20) * (40 - 25) / 25 for t in times_s]
    found = delivery(history(rows(times_s, latency_s)), load_text(SWEEP).scenario)
    (sweep,) = found["sweeps"]
    assert [(step["offered_per_s"], step["saturated"]) for step in sweep["steps"]] == [(10.0, False), (20.0, False), (40.0, True)]
    assert (sweep["sustained_per_s"], sweep["saturated_at_per_s"]) == (20.0, 40.0)
    assert 23 <= sweep["served_per_s_max"] <= 26
    assert lines(history(rows(times_s, latency_s)), load_text(SWEEP).scenario)["Sweep"].startswith("kept up to 20/s, saturated at 40/s")


def test_a_sweep_that_failed_throughout_kept_nothing_and_one_that_never_came_is_not_told() -> None:
    failed = rows(list(np.arange(0, 30, 0.1)), [0.1] * 300)
    failed["outcome"] = Outcome.ERROR
    (sweep,) = delivery(history(failed), load_text(SWEEP).scenario)["sweeps"]
    assert (sweep["sustained_per_s"], sweep["saturated_at_per_s"], sweep["served_per_s_max"]) == (None, 10.0, 0.0)
    assert "saturated from the first step" in lines(history(failed), load_text(SWEEP).scenario)["Sweep"]
    assert delivery(history(rows([0.5], [0.1])), load_text(SWEEP).scenario)["sweeps"] == []


def test_a_closed_load_is_labelled_so() -> None:
    begun = event(0, ev.LOAD, state="started", model="closed", engine="asyncio", users=5, think_s=2.0)
    told = lines(history(rows([1.0, 2.0], [0.1, 0.1]), begun), load_text(CLOSED).scenario)
    assert told["Load"].startswith("closed model on asyncio (5 users, think time 2s): a slow service was asked less")
    assert told["Load"].endswith("2 arrivals, 2 sent")
    assert told["Generator"] == "it said nothing of itself"


def test_drops_are_told_by_whose_fault_they_are_and_health_by_its_worst() -> None:
    some = rows([1.0] * 10, [0.1] * 10)
    some["outcome"][:3] = Outcome.DROPPED
    some["drop_cause"][0] = 1
    health = [event(n, ev.LOAD, state="health", cpu_ratio=0.1 * n, loop_lag_ms_max=5.0 - n, steal_ratio="?") for n in range(3)]
    done = event(30, ev.LOAD, state="finished", dispatch_lag_ms_p99=1.5, dispatch_lag_ms_p50=float("nan"))
    told = lines(history(some, *health, done), load_text(SWEEP).scenario)
    assert told["Load"].endswith("10 arrivals, 7 sent, 2 dropped for the target's sake, 1 dropped for the generator's sake")
    assert told["Generator"] == "p99 1.50 ms, event loop held up at most 5.0 ms, processor at most 20% of a core in a second"
