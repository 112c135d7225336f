"""Nothing passes by accident: every way to prove nothing ends INCONCLUSIVE (exit 3) with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.gate import Verdict, decide
from harness.record.history import History
from harness.record.requests import REQUEST_DTYPE, Outcome
from harness.scenario.model import Scenario
from harness.score import judge as judging
from harness.score.check import Result, Status
from harness.score.judge import judge
from harness.score.sli import DROPPED_BY_GENERATOR
from tests.history_builder import history, scenario, together, traffic

FAULT = {"id": "f", "type": "llm.slow_first_token", "target": "llm", "at": "fault", "for": "40s"}
OBJECTIVES = {
    "steady_state": {"availability": ">= 99.5%", "latency_p95": "<= 800ms"},
    "fault": {"availability": ">= 97%"},
    "recovery": {"availability": ">= 99%"},
}
EXPECT = [{"fault": "f", "alert": "<= 10s", "outcome": "recovered"}, {"false_alarms": 0}]

PHASES = ("0s steady_state", "30s fault", "70s recovery")
INJECTED = ("30s fault latency@llm fix=switch_provider blast=generation",)
CLAIMED = ("33s alert llm", "38s action switch_provider generation")
HEALED = ("70s heal",)
DIED = "20s operator exited"
NOT_GONE = ("70s heal-only", "80s not_gone")
END = ("100s end",)
GOOD = (*PHASES, *INJECTED, *CLAIMED, *HEALED, *END)
QUIET = {"faults": [], "expect": [{"false_alarms": 0}]}
NO_STEADY_STATE = {"phases": {"fault": "40s", "recovery": "30s"}, "objectives": {}}
SLOW_UNTIL_SWITCHED = together(traffic(0, 30), traffic(30, 38, latency_s=4.0), traffic(38, 100))


@dataclass(frozen=True)
class Case:
    """A good run with one thing taken away."""

    name: str
    reason: str
    lines: tuple[str, ...] = GOOD
    requests: NDArray[Any] = field(default_factory=lambda: SLOW_UNTIL_SWITCHED)
    scenario: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    status: Status = Status.INCONCLUSIVE

    def judge(self) -> Verdict:
        asked = scenario(**{"faults": [FAULT], "objectives": OBJECTIVES, "expect": EXPECT, **self.scenario})
        return decide(judge(history(*self.lines, requests=self.requests, **self.history), asked), asked)


def only(sli: str, limit: str) -> dict[str, Any]:
    return {"objectives": {"fault": {sli: limit}}}


def late() -> NDArray[Any]:
    rows = SLOW_UNTIL_SWITCHED.copy()
    rows["start_ns"][::50] += 30_000_000  # two in a hundred are 30 ms late
    return rows


def backwards() -> NDArray[Any]:
    """They would be the fastest of all."""
    rows = SLOW_UNTIL_SWITCHED.copy()
    rows["end_ns"][::50] = 0
    return rows


def unheard_of() -> NDArray[Any]:
    rows = SLOW_UNTIL_SWITCHED.copy()
    rows["outcome"][7] = 77
    return rows


def undelivered() -> NDArray[Any]:
    rows = SLOW_UNTIL_SWITCHED.copy()
    rows["outcome"][::20], rows["drop_cause"][::20] = Outcome.DROPPED, DROPPED_BY_GENERATOR
    return rows


CASES = [
    Case("a good run", "all 19 checks pass", status=Status.PASS),
    Case("no requests", "no requests", requests=np.zeros(0, dtype=REQUEST_DTYPE)),
    Case("no requests in one phase", "no requests in recovery", requests=SLOW_UNTIL_SWITCHED[:1750]),
    Case("the generator was late", "p99 of the lag is 30ms (limit 20ms)", requests=late()),
    Case("the generator dropped arrivals", "never sent", requests=undelivered()),
    Case("the generator sent too few", "of 750 offered arrivals", requests=SLOW_UNTIL_SWITCHED[::2]),
    Case("the generator was out of CPU", "generator CPU was 95%", lines=(*GOOD, "10s probe cpu_ratio=0.95")),
    Case("the machine was stolen", "machine steal was 20%", lines=(*GOOD, "10s probe cpu_ratio=0.1 steal_ratio=0.2")),
    Case(
        "a target that hangs and fills every slot",
        "fault.availability",
        requests=together(traffic(0, 30), traffic(30, 70, outcome=Outcome.DROPPED), traffic(70, 100)),
        status=Status.FAIL,
    ),
    Case(
        "the fault did not bite",
        "fault f was not effective (not_effective: in a test)",
        lines=(*PHASES, "30s intended latency@llm", "30s injected", "35s not_effective", *HEALED, *END),
    ),
    Case("the fault failed", "failed: in a test", lines=(*PHASES, "30s intended latency@llm", "30s failed", *HEALED, *END)),
    Case("the fault was never injected", "fault f was never injected", lines=(*PHASES, *END)),
    Case("the fault did not heal", "fault f is not proved gone", lines=(*PHASES, *INJECTED, *CLAIMED, *NOT_GONE, *END)),
    Case(
        "too few samples for a percentile",
        "do not reach beyond latency_p99.9",
        scenario=only("latency_p99.9", "<= 8s"),
    ),
    Case("too few samples for a rate", "cannot prove >= 99.99%", scenario=only("availability", ">= 99.99%")),
    Case("nothing is asserted", "nothing was asserted", scenario={"objectives": {}, "expect": []}),
    Case(
        "steady state not stationary",
        "not stationary: the median latency went from 100ms to 700ms",
        requests=together(traffic(0, 15), traffic(15, 30, latency_s=0.7), SLOW_UNTIL_SWITCHED[750:]),
    ),
    Case(
        "no steady state",
        "the scenario has no steady_state phase",
        lines=(*PHASES[1:], *INJECTED, *CLAIMED, *HEALED, *END),
        requests=SLOW_UNTIL_SWITCHED[750:],
        scenario=NO_STEADY_STATE,
    ),
    Case(
        "steady state violated",
        "steady_state.availability",
        requests=together(traffic(0, 30, every={10: {"outcome": Outcome.ERROR}}), SLOW_UNTIL_SWITCHED[750:]),
        status=Status.FAIL,
    ),
    Case(
        "the operator is dead",
        "the operator process died 20s into the run",
        lines=(*PHASES, DIED, *INJECTED, *HEALED, *END),
    ),
    Case(
        "the operator is dead, and nothing went wrong",
        "died",
        lines=(DIED, *PHASES, *END),
        scenario={"faults": [], "expect": [{"false_alarms": 0}]},
    ),
    Case("the operator died after onset", "missed", lines=(*PHASES, *INJECTED, "31s operator exited", *HEALED, *END), status=Status.FAIL),
    Case("the operator is switched off", "switches the operator off", scenario={"operator": {"enabled": False}}),
    Case("the record was cut", "the record stops 60s into the run", lines=(*PHASES[:2], *INJECTED, *CLAIMED, "60s cut")),
    Case("the record was cut before anything", "the record stops", lines=("0s cut",), requests=np.zeros(0, dtype=REQUEST_DTYPE)),
    Case("the record is damaged", "the last frame is torn", history={"damage": ("requests-0.seg: the last frame is torn",)}),
    Case("requests are missing", "3 requests are missing from the record", history={"load": {"arrivals": 2503}}),
    Case("requests are there twice", "more than once", requests=np.concatenate([SLOW_UNTIL_SWITCHED, SLOW_UNTIL_SWITCHED[:1]])),
    Case("more requests than were made", "the load process counted 2400", history={"load": {"arrivals": 2400}}),
    Case("nobody counted the requests", "how many requests there were", history={"load": {"arrivals": None}}),
    Case("requests end before they begin", "the times of 50 requests are out of order", requests=backwards()),
    Case("requests end in an unknown way", "that this program does not know", requests=unheard_of()),
    Case("nobody knows how the generator was", "the generator told 0 times in the 30s", lines=(*GOOD, "200s probe cpu_ratio=0.1")),
    Case("the fault is gone, and was never healed", "not proved gone", lines=(*PHASES, *INJECTED, *CLAIMED, "70s gone", *END)),
    Case("aborted", "by its abort rule: availability", lines=(*GOOD, "50s abort availability")),
    Case("interrupted", "interrupted by SIGINT", lines=(*GOOD, "50s interrupted")),
    Case("the watchdog took over", "no heartbeat", lines=(*GOOD, "50s took_over")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name.replace(" ", "-"))
def test_case(case: Case) -> None:
    verdict = case.judge()
    told = "\n".join([verdict.reason, *(f"{r.status.value} {r.name}: {r.reason}" for r in verdict.results)])
    assert verdict.status is case.status, told
    assert verdict.exit_code == {Status.PASS: 0, Status.FAIL: 1, Status.INCONCLUSIVE: 3}[case.status]
    assert case.reason in told, told


def test_a_scorer_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_history: History, _scenario: Scenario) -> Iterable[Result]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(judging, "CHECKS", (*judging.CHECKS, ("broken", broken)))
    verdict = CASES[0].judge()
    assert (verdict.status, verdict.exit_code) == (Status.INCONCLUSIVE, 3)
    assert verdict.reason == "broken.crashed: scorer crashed: ZeroDivisionError: by zero"


def test_only_a_scorer_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_history: History, _scenario: Scenario) -> Iterable[Result]:
        raise KeyError("gone")

    monkeypatch.setattr(judging, "CHECKS", (("broken", broken),))
    assert CASES[0].judge().status is Status.INCONCLUSIVE


@pytest.mark.parametrize("field", ["needless_actions", "wrong_actions", "harmful_actions", "false_alarms"])
def test_a_dead_operator_did_nothing_wrong_and_proves_nothing(field: str) -> None:
    asked = scenario(expect=[{field: 0}])
    told = history("0s steady_state", "20s operator exited", "100s end", requests=traffic(0, 100))
    result = next(r for r in judge(told, asked) if r.name == f"expect.run.{field}")
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "the operator process died 20s into the run (exit status 1)")
