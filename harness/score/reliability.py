"""The availability model of the scenario beside the run: what its parts' up-times make of the system, and what users got.

Whether an instance is up is what the harness's own readiness probe saw. The probe looks twice a second and waits a second for an answer, so
for up to that long before a change is noted nobody knows, and requests due then are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import events as ev
from harness.record.history import History
from harness.record.requests import Outcome
from harness.scenario.model import Scenario
from harness.scenario.reliability import Figures, Part, Reliability, at_least, availability
from harness.score import sli as slis
from harness.score import stats
from harness.score.check import Result, Status
from harness.score.preconditions import Preconditions, cut_off
from harness.score.show import show
from harness.score.spans import NS_PER_S, Span, seconds

UNSURE_S = 1.5  # between two looks of the readiness probe, and its longest wait
MIN_SAMPLES = 59


@dataclass(frozen=True, slots=True)
class UpTime:
    """One instance, as the readiness probe saw it."""

    service: str
    name: str
    t_ns: NDArray[np.int64]  # of each change, ascending
    up: NDArray[np.bool_]  # from then on

    def at(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Was it up? Before the first look it was not."""
        n = np.searchsorted(self.t_ns, t_ns, side="right") - 1
        return np.where(n >= 0, self.up[np.maximum(n, 0)], False)

    def unsure(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Is a change noted so soon afterwards that it may have happened before?"""
        n = np.minimum(np.searchsorted(self.t_ns, t_ns, side="right"), len(self.t_ns) - 1)
        wait_ns = self.t_ns[n] - t_ns
        return (wait_ns > 0) & (wait_ns <= UNSURE_S * NS_PER_S)

    def share(self, span: Span) -> float:
        """Of the span, how much of it it was up."""
        borders = np.concatenate([[span.start_ns], self.t_ns[(self.t_ns > span.start_ns) & (self.t_ns < span.end_ns)], [span.end_ns]])
        return float(np.sum(np.diff(borders)[self.at(borders[:-1])])) / (span.end_ns - span.start_ns)


@dataclass(frozen=True, slots=True)
class Repair:
    """How long an instance was down. `own`: it was up again before the harness itself put it back, or the record ended."""

    name: str
    lasted_s: float
    own: bool


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """`reliability.target` and `reliability.shortfall`, where they are asked for."""
    model = scenario.reliability
    if model is None:
        return
    instances = up_times(history)
    if model.target is not None:
        blank = Result("reliability.target", "reliability", Status.INCONCLUSIVE, "", None, model.target.text, "ratio")
        yield _target(blank, model, history, instances)
    if model.shortfall is not None:
        blank = Result("reliability.shortfall", "reliability", Status.INCONCLUSIVE, "", None, model.shortfall.text, "ratio")
        yield _shortfall(blank, model, Preconditions(history, scenario), instances)


def up_times(history: History) -> Mapping[str, UpTime]:
    """Of every instance that was looked at."""
    seen: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    for event in history.of_kind(ev.INSTANCE):
        key = (str(event.data["service"]), str(event.data["instance"]))
        seen.setdefault(key, []).append((event.t_ns, event.data["state"] == "ready"))
    return {
        name: UpTime(service, name, np.array([t for t, _ in changes], dtype=np.int64), np.array([up for _, up in changes], dtype=np.bool_))
        for (service, name), changes in seen.items()
    }


def _of_leaf(leaf: str, instances: Mapping[str, UpTime]) -> list[UpTime]:
    """The instances of a service, or the one of that name."""
    own = [one for one in instances.values() if one.service == leaf]
    return own or ([instances[leaf]] if leaf in instances else [])


def _unseen(model: Reliability, history: History, instances: Mapping[str, UpTime]) -> str | None:
    reason = cut_off(history)
    if reason is None and not history.phases:
        reason = "the run never reached its first phase"
    latest_ns = history.start_ns + round(UNSURE_S * NS_PER_S)  # of instances that came later, some must have been there before
    missing = [leaf for leaf in model.leaves if not any(one.t_ns[0] <= latest_ns for one in _of_leaf(leaf, instances))]
    return reason or (f"the record does not say whether {missing[0]} was up" if missing else None)


def _run(history: History) -> Span:
    ends = [phase.end_ns for phase in history.phases if phase.end_ns is not None]
    return Span(history.start_ns, max(ends, default=history.end_ns))


# Shortfall: requests that failed while the system should have been up.


def _shortfall(blank: Result, model: Reliability, before: Preconditions, instances: Mapping[str, UpTime]) -> Result:
    history = before.history
    phases = [phase for phase in before.scenario.phases if phase != "warmup"]
    reason = _unseen(model, history, instances) or next((why for phase in phases if (why := before.phase(phase)) is not None), None)
    if reason is not None or model.shortfall is None:
        return replace(blank, reason=str(reason))
    requests = [history.in_phase(phase).through(slis.arrivals) for phase in phases]
    due_ns = np.concatenate([of_phase.gather(slis.due_ns, np.int64) for of_phase in requests])
    served = np.concatenate([of_phase.gather(lambda rows: rows["outcome"] == Outcome.OK, np.bool_) for of_phase in requests])
    parts = [one for leaf in model.leaves for one in _of_leaf(leaf, instances)]
    known = ~np.any([one.unsure(due_ns) for one in parts], axis=0)
    due_ns, served = due_ns[known], served[known]
    up = _structure(model.system, instances, due_ns)
    n, needed = len(due_ns), max(MIN_SAMPLES, stats.samples_to_prove(1.0 - model.shortfall.value))
    if n < needed:
        return replace(blank, samples=n, reason=f"{n} requests cannot prove {model.shortfall.text}; {needed} could")
    predicted, measured = float(np.count_nonzero(up)) / n, float(np.count_nonzero(served)) / n
    kept = slis.keeps(model.shortfall, predicted - measured)
    failed, saved = int(np.count_nonzero(up & ~served)), int(np.count_nonzero(~up & served))
    span = _run(history)
    told = (
        f"{failed} requests failed while the system was up by its parts, {saved} were served while it was down",
        f"by the up-times of its parts alone, independent of one another: {show(_algebra(model, instances, span), 'ratio')}",
        *(f"{one.name} was up {show(one.share(span), 'ratio')} of the run" for one in parts if one.share(span) < 1.0),
    )
    why = f"{show(measured, 'ratio')} served, {show(predicted, 'ratio')} by the up-times of its parts: {'keeps' if kept else 'breaks'}"
    status = Status.PASS if kept else Status.FAIL
    value = stats.rounded(predicted - measured)
    return replace(blank, status=status, value=value, samples=n, reason=f"{why} {model.shortfall.text}, n={n}", evidence=told)


def _structure(part: Part, instances: Mapping[str, UpTime], t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Was the part up at those times? A service is up while one of its instances is."""
    if isinstance(part, str):
        found: NDArray[np.bool_] = np.any([one.at(t_ns) for one in _of_leaf(part, instances)], axis=0)
        return found
    up: NDArray[np.bool_] = np.sum([_structure(inner, instances, t_ns) for inner in part.parts], axis=0) >= part.needed
    return up


def _algebra(model: Reliability, instances: Mapping[str, UpTime], span: Span) -> float:
    return availability(model.system, lambda leaf: at_least(1, [one.share(span) for one in _of_leaf(leaf, instances)]))


# Target: the availability that the declared failure rates and the repair times of this run make.


def _target(blank: Result, model: Reliability, history: History, instances: Mapping[str, UpTime]) -> Result:
    reason = _unseen(model, history, instances)
    if reason is not None or model.target is None:
        return replace(blank, reason=str(reason))
    repairs = {one.name: lasted for one in instances.values() if (lasted := _repairs(history, one))}
    parts = {leaf: _of_leaf(leaf, instances) for leaf in model.leaves}
    relevant = [one.name for ones in parts.values() for one in ones if one.name in repairs]
    if not relevant:
        return replace(blank, reason="none of its parts failed in this run, so no time to repair was measured")

    def of(leaf: str) -> float:
        return at_least(1, [_expected(model.figures(one.service, one.name), repairs.get(one.name, [])) for one in parts[leaf]])

    predicted = availability(model.system, of)
    told = tuple(_told(model, instances[name], repairs[name]) for name in relevant)
    found = replace(blank, value=stats.rounded(predicted), samples=sum(len(repairs[name]) for name in relevant), evidence=told)
    kept = slis.keeps(model.target, predicted)
    open_ended = [name for name in relevant if not all(repair.own for repair in repairs[name])]
    why = f"{predicted:.4%} by its failure rates and the repair times of this run: {'keeps' if kept else 'breaks'} {model.target.text}"
    if kept and open_ended:
        return replace(found, reason=f"at most {why}, but {open_ended[0]} was not repaired by itself: longer would be less")
    return replace(found, status=Status.PASS if kept else Status.FAIL, reason=why)


def _expected(figures: Figures | None, repairs: list[Repair]) -> float:
    if figures is None:
        raise ValueError("a part of the system has no figures")  # `check` admits no target then
    return figures.expected(math.fsum(r.lasted_s for r in repairs) / len(repairs) if repairs else None)


def _repairs(history: History, one: UpTime) -> list[Repair]:
    """Every time that it was down in the course of the run."""
    span, found = _run(history), []
    heals = [f.heal_intended_ns for f in history.faults if f.heal_intended_ns is not None and f.service == one.service]
    for n, (t_ns, up) in enumerate(zip(one.t_ns.tolist(), one.up.tolist(), strict=True)):
        if up or not span.holds(t_ns):
            continue
        back_ns = int(one.t_ns[n + 1]) if n + 1 < len(one.t_ns) else None
        taken_back = [heal_ns for heal_ns in heals if heal_ns > t_ns and (back_ns is None or heal_ns < back_ns)]
        end_ns = min([*taken_back, back_ns if back_ns is not None else span.end_ns, span.end_ns])
        found.append(Repair(one.name, seconds(t_ns, end_ns), own=end_ns == back_ns))
    return found


def _told(model: Reliability, one: UpTime, repairs: list[Repair]) -> str:
    figures: Any = model.figures(one.service, one.name)
    mean_s = math.fsum(r.lasted_s for r in repairs) / len(repairs)
    least = "" if all(r.own for r in repairs) else "at least "
    declared = f", declared {show(figures.mttr, 's')}" if figures is not None and figures.mttr is not None else ""
    return f"{one.name} was down {len(repairs)} times, for {least}{show(stats.rounded(mean_s), 's')} on average{declared}"
