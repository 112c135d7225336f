"""May anything be concluded from this run at all, and was everything taken back?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import events as ev
from harness.record.history import History
from harness.record.pieces import Rows
from harness.scenario.model import Expect, Scenario
from harness.scenario.slis import PHASES
from harness.score import stats
from harness.score.check import Result, Status
from harness.score.preconditions import Preconditions, cut_off
from harness.score.slo import of_phase_objectives
from harness.score.spans import NS_PER_S, Span, of_phase, seconds

# Stationary: the median latency of the first and of the last third of steady_state differ by less than a factor of two, or by less than
# 50 ms. Medians of a few hundred requests are steady within some per cent; a cold cache or a growing queue moves them much further.
DRIFT_FACTOR = 2.0
DRIFT_S = 0.050
STEADY_SAMPLES = 30  # in each third

OF_OPERATOR = frozenset(
    {"alert", "alerts", "root_cause", "escalated", "action", "false_alarms", "needless_actions", "wrong_actions", "harmful_actions"}
)


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """The record, the load, the steady state, the operator, the faults."""
    before = Preconditions(history, scenario)
    yield _record(history)
    yield from list(_stopped(history)) or _unplayed(history, scenario)
    yield _requests(history, before)
    yield from _sampled(history)
    yield from _delivered(history, scenario, before)
    yield from steady_state(history, scenario)
    yield from _operator(scenario, before)
    for use in scenario.faults:
        reason = before.fault(use.id)
        if reason is not None and history.fault(use.id) is not None:
            reason = f"{reason} ({before.first_failure(use.id, 'failed', 'not_effective')})"
        changed = next((e.data["changed"] for e in history.fault_steps(use.id) if e.data.get("changed")), None)
        bit = _validity(f"fault.{use.id}", reason, f"fault {use.id} bit: {_evidence(history, use.id)}")
        yield bit if changed is None or reason is not None else _other_than_asked(bit, changed)


def _other_than_asked(bit: Result, changed: object) -> Result:
    """A person changed it: what was shown is not what the scenario asks, and no plain pass."""
    asked = ", ".join(f"{name} {_pair(change)}" for name, change in changed.items()) if isinstance(changed, dict) else str(changed)
    return replace(bit, status=Status.WARN, reason=f"not as the scenario asks, but as a person changed it: {asked}; {bit.reason}")


def _pair(change: object) -> str:
    return f"{change.get('injected')} instead of {change.get('asked')}" if isinstance(change, dict) else str(change)


def safety(history: History, scenario: Scenario) -> Iterable[Result]:
    """Everything that was injected is proved gone, and nothing of the run is left."""
    before = Preconditions(history, scenario)
    for use in scenario.faults:
        truth = history.fault(use.id)
        if truth is not None and truth.intended_ns is not None:
            reason = before.gone(use)
            if reason is not None:
                reason = f"{reason} ({before.first_failure(use.id, 'not_gone', 'failed')})"
            yield _of_group("safety", f"safety.{use.id}.gone", reason, f"nothing of fault {use.id} is left")
    if any(truth.intended_ns is not None for truth in history.faults):
        yield _as_before(history)
    yield _nothing_left(history)
    stopped = any(e.data.get("state") == "stopped" for e in history.of_kind(ev.STACK))
    reason = None if stopped else "the record does not say that the stack was stopped: run `gauntlet clean`"
    yield _of_group("safety", "safety.stack_stopped", reason, "the stack was stopped")


def _as_before(history: History) -> Result:
    """By the fingerprints of the world before the first fault and after all were healed."""
    compared = [e.data.get("left") for e in history.of_kind(ev.FINGERPRINT)]
    if not compared or not all(isinstance(left, list) for left in compared):
        return _of_group("safety", "safety.as_before", "the record does not say whether the world is as it was before the first fault", "")
    left = tuple(str(item) for items in compared for item in items or ())
    status, reason = (
        (Status.FAIL, f"{len(left)} things are not as before") if left else (Status.PASS, "everything is as before the first fault")
    )
    return Result("safety.as_before", "safety", status, reason, evidence=left)


def _nothing_left(history: History) -> Result:
    """By the last sweep of the watchdog."""
    swept = [e.data.get("left") for e in history.of_kind(ev.WATCHDOG) if e.data.get("state") == "finished"]
    if not swept or not all(isinstance(left, list) for left in swept):
        reason = "the record does not say that nothing of this run is left: run `gauntlet clean`"
        return _of_group("safety", "safety.nothing_left", reason, "")
    left = tuple(str(item) for items in swept for item in items or ())
    status, reason = (Status.FAIL, f"{len(left)} things of this run are left") if left else (Status.PASS, "nothing of this run is left")
    return Result("safety.nothing_left", "safety", status, reason, evidence=left)


def steady_state(history: History, scenario: Scenario, live: bool = False) -> tuple[Result, ...]:
    """Is there a steady state that a fault can be measured against? Asked where a fault follows; with `live`, while the run goes on."""
    return history.once(("steady_state", live), lambda: tuple(_steady_state(history, scenario, live)), of=scenario)


def _steady_state(history: History, scenario: Scenario, live: bool) -> Iterator[Result]:
    phase = "steady_state"
    if phase not in scenario.phases or not any(PHASES.index(f.phase) >= PHASES.index(phase) for f in scenario.faults):
        return
    before = Preconditions(history, scenario, live)
    reason = before.phase(phase) or _not_steady(history, live)
    # While the run goes on, the last requests are still on their way: too few of them proves nothing yet.
    disproved = (Status.FAIL,) if live else (Status.FAIL, Status.INCONCLUSIVE)
    for result in of_phase_objectives(history, scenario, phase, live):
        if reason is None and result.status in disproved:
            reason = f"{result.name} is {result.status.value}: {result.reason}"
    yield _validity(phase, reason, "steady state reached before the first fault")


def baseline_reason(history: History, scenario: Scenario) -> str | None:
    """Why nothing can be said about how users fared under a fault: there is no steady state to compare with."""
    if "steady_state" not in scenario.phases:
        return "the scenario has no steady_state phase to compare with"
    return next((f"no steady state: {r.reason}" for r in steady_state(history, scenario) if r.status is not Status.PASS), None)


def _not_steady(history: History, live: bool) -> str | None:
    span = history.phase("steady_state")
    if span is None:
        return "the run never reached steady_state"
    whole = of_phase(history, span)
    third_ns = (whole.end_ns - whole.start_ns) // 3
    first = _median_s(history, Span(whole.start_ns, whole.start_ns + third_ns))
    last = _median_s(history, Span(whole.end_ns - third_ns, whole.end_ns))
    if first is None or last is None:
        if live:
            return None  # the latest requests are on their way into the record; the final judgement counts them
        return f"too few served requests in steady_state to see whether it is steady ({STEADY_SAMPLES} are needed in each third)"
    low, high = sorted((first, last))
    if high > low * DRIFT_FACTOR and high - low > DRIFT_S:
        return f"not stationary: the median latency went from {first * 1000:.0f}ms to {last * 1000:.0f}ms within steady_state"
    return None


def _median_s(history: History, span: Span) -> float | None:
    latencies_ns = history.between(span.start_ns, span.end_ns).gather(_latencies_ns, np.int64)
    return stats.nearest_rank(latencies_ns, 50.0) / NS_PER_S if len(latencies_ns) >= STEADY_SAMPLES else None


def _latencies_ns(rows: Rows) -> NDArray[Any]:
    served = rows[rows["end_ns"] > 0]
    latencies: NDArray[Any] = served["end_ns"] - served["intended_ns"]
    return latencies


def _record(history: History) -> Result:
    damage = f"the record is damaged: {'; '.join(history.damage)}" if history.damage else None
    return _validity("record", damage or cut_off(history), "the record is whole")


def _stopped(history: History) -> Iterator[Result]:
    for event in history.of_kind(ev.ABORT):
        why = f" ({event.data['reason']})" if event.data.get("reason") else ""
        rule = event.data.get("rule", "not recorded")
        yield _validity("aborted", f"stopped {seconds(history.start_ns, event.t_ns):g}s into the run by its abort rule: {rule}{why}", "")
    for event in history.of_kind(ev.INTERRUPTED):
        yield _validity("interrupted", f"interrupted by {event.data.get('signal', 'a signal')}", "")
    for event in history.of_kind(ev.WATCHDOG):
        if event.data.get("state") == "took_over":
            reason = f"the watchdog had to heal in place of the harness: {event.data.get('detail', 'no detail recorded')}"
            yield _validity("watchdog", reason, "")


def _unplayed(history: History, scenario: Scenario) -> Iterable[Result]:
    """A record that is whole, of a run that was not: it ended early, or a phase of it is nowhere."""
    endings = [str(e.data.get("ending", "for a reason that is not recorded")) for e in history.of_kind(ev.ENDED)]
    missing = [name for name in PHASES if name in scenario.phases and history.phase(name) is None]
    if endings and endings[-1] != "completed":
        yield _validity("played", f"the run ended early: {endings[-1]}", "")
    elif endings and missing:
        yield _validity("played", f"the run never reached {', '.join(missing)}", "")


def _sampled(history: History) -> Iterator[Result]:
    """Only where something is wrong: a record without samples and readiness would say that nothing ever was down."""
    for event in history.of_kind(ev.SAMPLER):
        yield _validity("sampler", f"the harness could not watch the stack: {event.data.get('detail', 'no detail recorded')}", "")


def _requests(history: History, before: Preconditions) -> Result:
    reason = before.requests or ("no requests were delivered" if len(history.requests) == 0 else None)
    return _validity("load", reason, f"{len(history.requests)} requests recorded")


def _delivered(history: History, scenario: Scenario, before: Preconditions) -> Iterator[Result]:
    """Phases in which something is asserted; elsewhere a late generator harms nobody."""
    asserted: set[str] = set(scenario.objectives) | {f.phase for f in scenario.faults}
    asserted |= {phase for rule in scenario.burn_rates if rule.fires == "never" for phase in rule.quiet_in(scenario.phases)}
    if any(expect.fault is None for expect in scenario.expect):  # of the whole run; to warm up proves nothing
        asserted |= set(scenario.phases) - {"warmup"}
    if scenario.faults:
        asserted.add("steady_state")
    for span in history.phases:
        if span.name in asserted and len(history.in_phase(span.name)):
            yield _validity(f"delivered_load.{span.name}", before.generator(span.name), f"the generator delivered its load in {span.name}")


def _operator(scenario: Scenario, before: Preconditions) -> Iterator[Result]:
    if any(wants_operator(expect) for expect in scenario.expect):
        yield _validity("operator", before.operator_throughout(), "the operator was on call throughout")


def wants_operator(expect: Expect) -> bool:
    """Does this entry expect anything of the operator itself, rather than of the outcome for users?"""
    return bool(OF_OPERATOR & {name for name, value in expect if value is not None})


def _evidence(history: History, fault_id: str) -> str:
    truth = history.fault(fault_id)
    evidence = truth.evidence.get("effective") if truth is not None else None
    told = [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(evidence.items())] if evidence else []
    return ", ".join(told) or "evidence recorded"


def _validity(name: str, reason: str | None, fine: str) -> Result:
    return _of_group("validity", f"validity.{name}", reason, fine)


def _of_group(group: str, name: str, reason: str | None, fine: str) -> Result:
    return Result(name, group, Status.PASS if reason is None else Status.INCONCLUSIVE, fine if reason is None else reason)
