"""Ways in which other gates turn green with nothing proved, each named after the gate, and what the same run is here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from numpy.typing import NDArray

from harness.gate import Verdict, decide
from harness.record import events as ev
from harness.record.requests import Outcome
from harness.score.check import Status
from harness.score.judge import judge
from tests.history_builder import history, scenario, together, traffic

PHASES = {"steady_state": "30s", "fault": "40s", "recovery": "30s"}
FAULTS = [{"id": "f", "type": "process.kill", "target": "retrieval-2", "at": "fault", "for": "40s"}]
UP = ("0s steady_state", "0.1s ready retrieval-1", "0.1s ready retrieval-2", "30s fault")
BROKEN = ("30s fault crash@retrieval-2", "31s down retrieval-2", "60s ready retrieval-2", "70s heal")
END = ("70s recovery", "100s end")
HEALTHY = traffic(0, 100)
WELL = {"availability": ">= 99%"}


def verdict(*lines: str, rows: NDArray[Any] = HEALTHY, faults: bool = True, **asked: Any) -> Verdict:
    of = history(*lines, requests=rows, journeys=("ask",))
    wanted = scenario(phases=PHASES, faults=FAULTS if faults else [], **asked)
    return decide(judge(of, wanted), wanted)


def answers(name: str, no: range = range(0)) -> tuple[str, ...]:
    return tuple(f"{second}s answer {name} {'no' if second in no else 'yes'}" for second in range(30, 70))


def test_the_run_that_they_are_all_made_from_passes() -> None:
    assert verdict(*UP, *BROKEN, *END, objectives={"steady_state": WELL, "fault": WELL}).status is Status.PASS


def test_chaos_toolkit_a_fault_that_fails_and_a_rollback_that_fails() -> None:
    """There: completed, not deviated, exit 0."""
    lines = ("30s intended crash@retrieval-2", "30.1s failed reason=no_such_process", "70s heal_intended", "70s failed", "70s not_gone")
    found = verdict(*UP, *lines, *END, objectives={"steady_state": WELL, "fault": WELL})
    assert (found.status, found.exit_code) == (Status.INCONCLUSIVE, 3)


@pytest.mark.parametrize("mode", [{"mode": "during"}, {"mode": "continuous"}, {"mode": "on_fault", "fault": "f"}])
def test_chaos_toolkit_a_hypothesis_that_is_broken_during_the_fault_and_healed_later(mode: dict[str, str]) -> None:
    """There: exit 0 although 12 of 16 samples were out of tolerance. In all modes that look at it while it lasts."""
    probe = {"id": "p", **mode, "http": {"service": "gateway"}, "every": "2500ms"}
    told = (*UP, *BROKEN, *answers("p", range(36, 39)), *END)
    found = verdict(*told, objectives={"steady_state": WELL}, probes=[probe])
    assert found.status is Status.FAIL
    assert found.reason.startswith("probe.p: 3 of 40 answers")


def test_chaos_toolkit_a_probe_beside_the_method() -> None:
    """There a probe inside `method` is outside of its tolerance, and ignored. Here every probe is a check."""
    probe = {"id": "p", "mode": "before", "http": {"service": "gateway"}}
    assert verdict(*UP, "29s answer p no", *BROKEN, *END, objectives={"steady_state": WELL}, probes=[probe]).status is Status.FAIL


def test_k6_a_rate_threshold_without_samples() -> None:
    """There: true."""
    asked = {"steady_state": {"availability of route ask_stream": ">= 99%"}}
    assert verdict(*UP, *BROKEN, *END, objectives=asked).status is Status.INCONCLUSIVE


def test_k6_a_percentile_of_nothing() -> None:
    """There the percentile of an empty trend is 0, and keeps every upper limit."""
    nothing = HEALTHY[:0]
    asked = {"steady_state": {**WELL, "latency_p95": "<= 200ms"}}
    assert verdict(*UP, *END, rows=nothing, faults=False, objectives=asked).status is Status.INCONCLUSIVE


def test_keptn_no_objectives() -> None:
    """There a missing SLO file passes, and so does one that scores nothing, with 100."""
    assert verdict(*UP, *BROKEN, *END).status is Status.INCONCLUSIVE
    found = verdict(*UP, *BROKEN, *END, gate={}, expect=[{"false_alarms": 0}])
    assert (found.status, found.score) == (Status.INCONCLUSIVE, None)


def test_keptn_no_previous_run() -> None:
    """There every relative criterion passes the first time."""
    asked = {"steady_state": {**WELL, "latency_p95": "<= +10%"}}
    assert verdict(*UP, *BROKEN, *END, objectives=asked).status is Status.INCONCLUSIVE


def test_keptn_a_previous_run_that_failed() -> None:
    """There a baseline may be a run of which nothing is known (keptn/keptn#1263)."""
    own = history(*UP, *BROKEN, *END, requests=HEALTHY, journeys=("ask",))
    asked = scenario(phases=PHASES, faults=FAULTS, objectives={"steady_state": {**WELL, "latency_p95": "<= +10%"}})
    for base in (history("0s recovery", "30s end", requests=HEALTHY), replace(own, requests=HEALTHY[:0]), replace(own, damage=("torn",))):
        assert decide(judge(replace(own, baseline=base), asked), asked).status is Status.INCONCLUSIVE
    assert decide(judge(replace(own, baseline=own), asked), asked).status is Status.PASS


def without_data(missing: int) -> Verdict:
    """A score with objectives that have data, and some that have none."""
    names = ["availability of route ask_stream", "availability of route ingest"][:missing]
    asked = {"steady_state": {**WELL, **dict.fromkeys(names, ">= 99%")}}
    return verdict(*UP, *BROKEN, *END, objectives=asked, gate={"pass": "50%", "warn": "40%"})


@pytest.mark.parametrize("missing", [1, 2])
def test_kayenta_metrics_without_data(missing: int) -> None:
    """There a group of nothing but Nodata scores 100, and one that is missing among many weighs nothing."""
    assert (without_data(missing).status, without_data(missing).score) == (Status.INCONCLUSIVE, None)


def test_krkn_objectives_without_data_are_not_dropped_from_the_score() -> None:
    """There they are, although its description counts them as failed."""
    assert without_data(1).score is None


@pytest.mark.parametrize("early", ["50s abort availability", "50s interrupted"])
def test_argo_an_analysis_that_ended_early(early: str) -> None:
    """There it is successful unless its limit was exceeded already."""
    found = verdict(*UP, "30s fault crash@retrieval-2", early, "50s heal", "50s end", objectives={"steady_state": WELL})
    assert found.status is Status.INCONCLUSIVE


def test_argo_an_analysis_that_looked_at_something_else() -> None:
    """There a background analysis saw the stable pods, and the bad version was promoted. Here a scope without requests says nothing."""
    asked = {"steady_state": WELL, "fault": {"availability of tenant canary": ">= 99%"}}
    assert verdict(*UP, *BROKEN, *END, objectives=asked).status is Status.INCONCLUSIVE


def test_locust_a_test_without_a_request() -> None:
    """There it exits with 0: nothing failed."""
    found = verdict(*UP, *END, rows=HEALTHY[:0], faults=False, objectives={"steady_state": WELL})
    assert (found.status, found.exit_code) == (Status.INCONCLUSIVE, 3)


def test_locust_a_stall_that_the_whole_run_hides() -> None:
    """There users wait with the server, and the few requests of the stall vanish in a percentile of the whole run."""
    rows = together(traffic(0, 10), traffic(10, 11.4, latency_s=lambda i: 1.5 - i / 25), traffic(11.4, 100))
    whole = {"steady_state": {**WELL, "latency_p95": "<= 500ms"}}
    assert verdict(*UP, *END, rows=rows, faults=False, objectives=whole).status is Status.PASS
    worst = {"steady_state": {**WELL, "latency_p95 over 5s": "<= 500ms"}}
    assert verdict(*UP, *END, rows=rows, faults=False, objectives=worst).status is Status.FAIL


def test_litmus_a_score_is_never_above_one() -> None:
    objective = {"pass": ">= 99%", "weight": 10}
    found = verdict(*UP, *BROKEN, *END, objectives={"steady_state": {"availability": objective}}, gate={})
    assert found.score == 1.0


def test_gremlin_failing_is_never_better_than_not_running() -> None:
    """There a test that failed scores 50, and one that was not run 0."""
    objectives = {"steady_state": WELL, "fault": WELL}
    rows = together(traffic(0, 30), traffic(30, 70, outcome=Outcome.ERROR), traffic(70, 100))
    failed = verdict(*UP, *BROKEN, *END, rows=rows, objectives=objectives, gate={"pass": "100%", "warn": "90%"})
    unrun = verdict(*UP[:3], "30s end", rows=traffic(0, 30), objectives=objectives, gate={"pass": "100%", "warn": "90%"})
    assert (failed.status, failed.score) == (Status.FAIL, 0.5)
    assert (unrun.status, unrun.score) == (Status.INCONCLUSIVE, None)


def test_a_probe_that_nobody_answered_is_none_of_these() -> None:
    """What was never asked never passes."""
    of = history(*UP, *BROKEN, *END, requests=HEALTHY, journeys=("ask",))
    assert not any(event.kind == ev.PROBE for event in of.events)
    asked = {"probes": [{"id": "p", "mode": "after", "http": {"service": "gateway"}}], "objectives": {"steady_state": WELL}}
    assert verdict(*UP, *BROKEN, *END, **asked).status is Status.INCONCLUSIVE
