"""Did the fault stay where it was put? Journeys that do not touch the target should not have noticed it.

A breach is WARN: the scenario did not ask, but its reader should know.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.record.history import History
from harness.record.views import FaultTruth
from harness.scenario.model import Scenario
from harness.scenario.paths import path_of
from harness.scenario.slis import sli_name
from harness.score import sli as slis
from harness.score import stats
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.preconditions import Preconditions
from harness.score.spans import active
from harness.score.validity import baseline_reason

MIN_SAMPLES = 20


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """One result for each fault with a known onset and each journey that does not touch it."""
    before = Preconditions(history, scenario)
    for use in scenario.faults:
        fault = history.fault(use.id)
        if fault is None or fault.benign or fault.onset_ns is None:
            continue
        for number, journey in enumerate(history.journeys):
            path = path_of(journey, scenario)
            if path is not None and not touches(path, fault):
                yield _contained(history, scenario, fault, number, before.phase(use.phase))


def touches(path: frozenset[str], fault: FaultTruth) -> bool:
    """A fault on an edge touches only journeys that pass through both of its ends."""
    return set(fault.edge) <= path if fault.edge else not path.isdisjoint({fault.service, *fault.accepted})


def _contained(history: History, scenario: Scenario, fault: FaultTruth, number: int, blocked: str | None) -> Result:
    journey = history.journeys[number]
    blank = Result(f"containment.{fault.id}.{journey}", "containment", Status.INCONCLUSIVE, "", unit="ratio")
    limit = next((one for of, one in scenario.limits("steady_state") if of.family == "availability"), None)
    reason = blocked or baseline_reason(history, scenario)
    if reason is None and limit is None:
        reason = "steady_state has no absolute availability objective to compare with"
    span = active(fault, history)
    if reason is not None or limit is None or span is None:
        return Result(blank.name, blank.group, blank.status, reason or f"fault {fault.id} has no onset")
    of_journey = history.between(span.start_ns, span.end_ns).through(lambda rows: rows[rows["journey"] == number])
    name = sli_name("availability")
    observations = slis.observe(of_journey, name, Context.of(history))
    proportion, measured = slis.proportion(observations, name, limit.op, limit.value), slis.value(observations, name)
    if measured is None or proportion is None or len(observations) < MIN_SAMPLES:
        return Result(blank.name, blank.group, blank.status, f"only {len(observations)} requests of {journey} during the fault")
    breached = stats.exceeds(*proportion.count(), proportion.allowed)
    return Result(
        name=blank.name,
        group=blank.group,
        status=Status.WARN if breached else Status.PASS,
        reason=f"{journey} does not touch {fault.service}, {'but left' if breached else 'and stayed within'} its steady state",
        value=stats.rounded(measured),
        limit=limit.text,
        unit="ratio",
        samples=len(observations),
    )
