"""Objectives of routes, services and tenants, of a baseline run, with warnings; and what holds of all verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.gate import decide
from harness.record.events import Event
from harness.record.history import History
from harness.record.requests import Outcome
from harness.scenario.model import Scenario
from harness.score import slo
from harness.score.check import Result, Status, severity
from harness.score.judge import judge
from tests.history_builder import history, scenario, traffic
from tests.two_versions import HOST

HERE = {"host": HOST}
PHASES = {"steady_state": "30s", "recovery": "30s"}


def asked(**fields: Any) -> Scenario:
    return scenario(phases=PHASES, **fields)


def told(rows: NDArray[Any] | None = None, **fields: Any) -> History:
    return history("0s steady_state", "30s recovery", "60s end", requests=rows if rows is not None else traffic(0, 60), **fields)


def one(history: History, name: str, criteria: Any, **fields: Any) -> Result:
    (result,) = slo.check(history, asked(objectives={"steady_state": {name: criteria}}, **fields))
    return result


def two_routes() -> History:
    """Every second request asks, and every second of those fails; ingest is well."""
    return told(traffic(0, 60, journey=["ask", "ingest"], every={4: {"outcome": Outcome.ERROR}}))


@pytest.mark.parametrize(
    ("name", "value", "samples"),
    [
        ("availability", 0.749333, 750),
        ("availability of route ask", 0.498667, 375),
        ("availability of route ingest", 1.0, 375),
        ("availability of service generation", 0.498667, 375),
        ("availability of service document", 1.0, 375),
        ("availability of service gateway", 0.749333, 750),
    ],
)
def test_a_scope_counts_its_own_requests(name: str, value: float, samples: int) -> None:
    result = one(two_routes(), name, ">= 90%")
    assert (result.name, result.value, result.samples) == (f"steady_state.{name}", value, samples)


def test_a_tenant_has_its_own_journeys() -> None:
    journeys = {n: {"get": "/", "tenant": t, "headers": {"X-Tenant": t}} for n, t in (("ask", "acme"), ("ingest", "umbrella"))}
    load = {"shape": [{"constant": "25/s"}], "mix": {"ask": 1, "ingest": 1}, "journeys": journeys}
    assert one(two_routes(), "availability of tenant acme", ">= 90%", load=load).status is Status.FAIL
    assert one(two_routes(), "availability of tenant umbrella", ">= 90%", load=load).status is Status.PASS


def test_a_scope_that_nothing_was_asked_of_is_no_pass() -> None:
    result = one(told(), "availability of route ingest", ">= 90%")
    assert (result.status, result.samples) == (Status.INCONCLUSIVE, 0)


def test_goodput_of_a_route() -> None:
    assert one(two_routes(), "goodput of route ask", ">= 5/s").value == pytest.approx(187 / 30)


def test_a_warning_is_no_failure() -> None:
    result = one(two_routes(), "availability", {"pass": ">= 90%", "warn": ">= 70%"})
    assert (result.status, result.limit, result.value) == (Status.WARN, ">= 90%", 0.749333)
    assert result.reason == (
        "pass: 74.93% breaks >= 90%, n=750, 95% interval 71.67% to 78%; warn: 74.93% keeps >= 70%, n=750, 95% interval 71.67% to 78%"
    )
    assert one(two_routes(), "availability", {"pass": ">= 90%", "warn": ">= 80%"}).status is Status.FAIL


def test_alternatives_of_two_references() -> None:
    """Slow, but as slow as before: allowed where the scenario says so."""
    slow = told(traffic(0, 60, latency_s=1.0))
    criteria = {"latency_p95": "<= 500ms or <= +25% of steady_state", "availability": ">= 99%"}
    result, _ = slo.check(slow, asked(objectives={"recovery": criteria}))
    assert (result.status, result.limit) == (Status.PASS, "<= 500ms or <= +25% of steady_state")
    assert result.reason == "+0.0% of steady_state keeps <= +25% of steady_state, n=750"
    assert [line.split(":")[0] for line in result.evidence[:2]] == ["FAIL <= 500ms", "PASS <= +25% of steady_state"]


def test_objectives_of_a_phase_are_judged_once() -> None:
    """Validity asks for those of steady_state, too, and a pass over ten million requests takes seconds."""
    history, spec = told(), asked(objectives={"steady_state": {"availability": ">= 90%"}})
    (found,) = slo.check(history, spec)
    assert slo.of_phase_objectives(history, spec, "steady_state")[0] is found
    assert slo.of_phase_objectives(history, spec, "steady_state", live=True)[0] is not found


def noisy(i: int) -> float:
    return 0.1 + 0.001 * (i * 37 % 50)


def against(factor: float, baseline: History | None) -> Result:
    own = replace(told(traffic(0, 60, latency_s=lambda i: noisy(i) * factor), run=HERE), baseline=baseline)
    return one(own, "latency_p95", "<= +10%")


def test_a_baseline_run() -> None:
    base = told(traffic(0, 60, latency_s=noisy), run=HERE)
    same = against(1.0, base)
    assert (same.status, same.reason.split(";")[0]) == (Status.PASS, "+0.0% of baseline keeps <= +10%")
    assert against(1.05, base).status is Status.PASS
    assert (against(1.5, base).status, against(1.5, base).value) == (Status.FAIL, 0.2205)


def test_a_baseline_that_proves_nothing_is_no_pass() -> None:
    assert against(1.0, None).reason == "there is no baseline run to compare with; name one with --baseline"
    never = history("0s recovery", "60s end", requests=traffic(0, 60), run=HERE)
    assert (against(1.0, never).status, against(1.0, never).reason) == (
        Status.INCONCLUSIVE,
        "of the baseline run: the run never reached steady_state",
    )
    slow = against(1.5, told(traffic(0, 60, latency_s=noisy), run={"host": {**HOST, "cpus": 2}}))
    assert (slow.status, "different machines" in slow.reason) == (Status.INCONCLUSIVE, True)
    lean = told(traffic(0, 60, 1), run=HERE)
    assert against(1.0, lean).reason == "of the baseline run: the generator sent 30 of 750 offered arrivals in steady_state"


def test_weights_and_keys_of_objectives_count_in_the_gate() -> None:
    objectives = {"steady_state": {"availability": {"pass": ">= 90%", "weight": 9}, "latency_p95": {"pass": "<= 1ms", "key": True}}}
    results = list(slo.check(told(), asked(objectives=objectives)))
    light = asked(objectives=objectives, gate={})
    assert (decide(results, light).score, decide(results, light).status) == (0.9, Status.FAIL)  # the key one
    objectives["steady_state"]["latency_p95"]["key"] = False
    assert decide(results, asked(objectives=objectives, gate={})).status is Status.PASS
    objectives["steady_state"]["availability"]["weight"] = 1
    assert decide(results, asked(objectives=objectives, gate={})).score == 0.5


# What holds of every verdict.

EVERYTHING = asked(
    load={"shape": [{"constant": "10/s"}]},
    objectives={
        "steady_state": {"availability": {"pass": ">= 99%", "warn": ">= 90%"}, "availability over 5s": ">= 90%"},
        "recovery": {
            "availability of route ask": ">= 95% or >= 99%",
            "latency_p95": "<= 400ms and <= 500ms",
            "latency_p95 over 10s": {"pass": "<= 500ms", "warn": "<= 800ms"},
            "latency_p90": "<= +25% of steady_state",
        },
    },
)
NUMBERS = st.lists(st.integers(0, 599), max_size=120)


def rows(failed: list[int], slow: list[int]) -> NDArray[Any]:
    found = traffic(0, 60, 10)
    found["outcome"][failed] = Outcome.ERROR
    found["end_ns"][slow] += 900_000_000
    return found


def statuses(requests: NDArray[Any]) -> dict[str, Status]:
    absolute = (r for r in slo.check(told(requests), EVERYTHING) if "steady_state" not in str(r.limit))
    return {r.name: r.status for r in absolute}


@settings(deadline=None, max_examples=40)
@given(NUMBERS, NUMBERS, st.integers(0, 120))
def test_a_better_history_has_no_worse_verdict(failed: list[int], slow: list[int], helped: int) -> None:
    """Failures that did not happen help availability; a shorter time to an answer helps every percentile."""
    slow = sorted(set(slow) - set(failed))  # a failure has no latency, so only what is served may become faster
    worse = statuses(rows(failed, slow))
    fewer, faster = statuses(rows(failed[helped:], slow)), statuses(rows(failed, slow[helped:]))
    for name in worse:
        better = fewer if "availability" in name else faster
        assert severity(better[name]) <= severity(worse[name]), name


def shifted(of: History, by_ns: int) -> History:
    moved = of.requests.rows()
    for name in ("intended_ns", "start_ns", "first_ns", "last_ns", "end_ns"):
        moved[name] += np.where(moved[name] > 0, by_ns, 0)
    events = tuple(
        Event(e.t_ns + by_ns, e.kind, e.source, {k: v + by_ns if k.endswith("_ns") else v for k, v in e.data.items()}) for e in of.events
    )
    return replace(of, events=events, requests=moved)


@settings(deadline=None, max_examples=15)
@given(NUMBERS, NUMBERS, st.integers(1, 10**15))
def test_verdicts_do_not_depend_on_when(failed: list[int], slow: list[int], by_ns: int) -> None:
    of = told(rows(failed, slow))
    assert judge(shifted(of, by_ns), EVERYTHING) == judge(of, EVERYTHING)
