"""Each thing that a scenario may ask is enough to make a verdict, and without its evidence makes none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.gate import decide
from harness.record import events as ev
from harness.record.requests import Outcome
from harness.score.check import Status
from harness.score.judge import judge
from tests.history_builder import history, scenario, together, traffic

TOLD = (
    "0s steady_state", "0.1s ready retrieval-1", "0.1s ready retrieval-2", "29s answer p yes", "30s fault",
    "30s fault crash@retrieval-2", "31s down retrieval-2", "36s ready retrieval-2", *(f"{s}s answer q yes" for s in range(30, 70)),
    "70s heal", "70s recovery", "100s end",
)  # fmt: skip
PHASES = {"steady_state": "30s", "fault": "40s", "recovery": "30s"}
FAULTS = [{"id": "f", "type": "process.kill", "target": "retrieval-2", "at": "fault", "for": "40s"}]
BURN = {"id": "b", "objective": {"availability": ">= 99%"}, "long": "1h", "factor": 14.4, "min_events": 1}
SYSTEM = {"system": "retrieval", "components": {"retrieval": {"mtbf": "1h", "mttr": "30s"}}}
GATEWAY = {"http": {"service": "gateway"}}

ASKED: dict[str, tuple[dict[str, Any], str]] = {  # what is asked alone, and the kind of event without which nothing is known
    "objective": ({"objectives": {"recovery": {"availability": ">= 99%"}}}, ev.PHASE),
    "worst window": ({"objectives": {"recovery": {"availability over 10s": ">= 98%"}}}, ev.PHASE),
    "alternatives": ({"objectives": {"recovery": {"latency_p95": "<= 1ms or <= +10% of steady_state"}}}, ev.PHASE),
    "silent burn rate": ({"burn_rates": [BURN]}, ev.PHASE),
    "probe before": ({"probes": [{"id": "p", "mode": "before", **GATEWAY}]}, ev.PROBE),
    "probe on a fault": ({"probes": [{"id": "q", "mode": "on_fault", "fault": "f", **GATEWAY}]}, ev.PROBE),
    "target": ({"reliability": {**SYSTEM, "target": ">= 99%"}}, ev.INSTANCE),
    "shortfall": ({"reliability": {**SYSTEM, "shortfall": "<= 2%"}}, ev.INSTANCE),
}


@pytest.mark.parametrize(("fields", "kind"), ASKED.values(), ids=ASKED)
def test_it_is_enough_to_pass_and_nothing_without_evidence(fields: dict[str, Any], kind: str) -> None:
    of, asked = (
        history(*TOLD, requests=traffic(0, 100), journeys=("ask",)),
        scenario(phases=PHASES, faults=FAULTS, time_scale=360, **fields),
    )
    passed = decide(judge(of, asked), asked)
    assert passed.status is Status.PASS, passed.reason
    silent = replace(of, events=tuple(event for event in of.events if event.kind != kind))
    assert decide(judge(silent, asked), asked).status is Status.INCONCLUSIVE


def test_a_burn_rate_that_must_fire_needs_its_fault() -> None:
    rows = together(traffic(0, 30), traffic(30, 70, outcome=Outcome.ERROR), traffic(70, 100))
    fields = {"burn_rates": [{**BURN, "fires": "f", "within": "<= 10s"}]}
    of, asked = history(*TOLD, requests=rows, journeys=("ask",)), scenario(phases=PHASES, faults=FAULTS, time_scale=360, **fields)
    assert decide(judge(of, asked), asked).status is Status.PASS
    silent = replace(of, events=tuple(event for event in of.events if event.kind != ev.FAULT))
    assert decide(judge(silent, asked), asked).status is Status.INCONCLUSIVE
    healthy = replace(of, requests=traffic(0, 100))
    assert decide(judge(healthy, asked), asked).status is Status.FAIL


@pytest.mark.parametrize("mode", [{"mode": "during"}, {"mode": "continuous"}, {"mode": "on_fault", "fault": "f"}])
def test_a_hypothesis_that_is_broken_during_the_fault_and_healed_later_fails(mode: dict[str, str]) -> None:
    """Elsewhere that is a success: 12 of 16 samples out of tolerance, and exit 0 (Chaos Toolkit)."""
    probe = {"id": "r", **mode, "every": "2500ms", **GATEWAY}
    answers = (f"{second}s answer r {'no' if second in range(36, 39) else 'yes'}" for second in range(30, 70))
    asked = scenario(phases=PHASES, faults=FAULTS, probes=[probe])
    found = decide(judge(history(*TOLD, *answers, requests=traffic(0, 100), journeys=("ask",)), asked), asked)
    assert found.status is Status.FAIL
    assert found.reason.startswith("probe.r: 3 of 40 answers")


def test_a_stall_that_the_whole_phase_hides_breaks_its_worst_window() -> None:
    """1.4 s of a minute and a half vanish in a percentile, even when they are measured from the intended start."""
    stalled = traffic(10, 11.4, latency_s=lambda i: 1.5 - i / 25)
    of = history(*TOLD, requests=together(traffic(0, 10), stalled, traffic(11.4, 100)), journeys=("ask",))
    statuses = [
        decide(judge(of, asked), asked).status
        for name in ("latency_p95", "latency_p95 over 5s")
        for asked in [scenario(phases=PHASES, faults=FAULTS, objectives={"steady_state": {"availability": ">= 99%", name: "<= 500ms"}})]
    ]
    assert statuses == [Status.PASS, Status.FAIL]
