"""Objectives: units, directions, and whether the phase can carry what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.scenario import arrivals
from harness.scenario.catalog import StackInfo
from harness.scenario.checks.limits import wrong_limit
from harness.scenario.checks.scopes import check_scope, scoped
from harness.scenario.checks.versions import LEAST_S
from harness.scenario.indicator import Indicator
from harness.scenario.loader import Loaded
from harness.scenario.objective import Objective
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.slis import SliName
from harness.scenario.units import Limit


@dataclass(frozen=True, slots=True)
class _Asked:
    """One limit of one objective, and where it stands."""

    loaded: Loaded
    phase: str
    of: Indicator
    limit: Limit
    where: KeyPath

    @property
    def among(self) -> frozenset[str] | None:
        """The journeys that it is about; None for all."""
        return scoped(self.of.scope, self.loaded.scenario)

    def wrong(self, message: str, hint: str) -> Problem:
        return self.loaded.at(self.where, message, hint)


def check_objectives(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `objectives`."""
    scenario = loaded.scenario
    for phase in scenario.objectives:
        if phase not in scenario.phases:
            yield loaded.at_key(("objectives", phase), f"the scenario has no phase {phase!r}", did_you_mean(phase, scenario.phases))
            continue
        for of, objective in scenario.asked(phase):
            yield from _objective(loaded, stack, phase, of, objective)


def _objective(loaded: Loaded, stack: StackInfo, phase: str, of: Indicator, objective: Objective) -> Iterator[Problem]:
    where: KeyPath = ("objectives", phase, of.text)
    found = [*check_scope(loaded, stack, of, where), *_measurable(loaded, of.sli, stack, where), *_windowed(loaded, phase, of, where)]
    yield from found
    for name, criteria in (("pass", objective.pass_), ("warn", objective.warn)):
        for limit in criteria.limits if criteria else ():
            asked = _Asked(loaded, phase, of, limit, (*where, name))
            wrong = [*(asked.wrong(message, hint) for message, hint in wrong_limit(of.sli, limit)), *_reference(asked)]
            yield from wrong or (() if found else _carries(asked))
    beside = {(other.sli.family, other.scope) for other, _ in loaded.scenario.asked(phase)}
    if of.sli.percentile and beside.isdisjoint({("availability", of.scope), ("availability", None)}):
        message = f"{of.text} alone is passed by a service that answers nothing"
        yield loaded.at_key(where, message, f'add `availability: ">= 99%"` to objectives of {phase}')
    yield from _counted(loaded, phase, of, objective)


def _reference(asked: _Asked) -> Iterator[Problem]:
    """What a relative limit is relative to must exist, and lie elsewhere."""
    of, limit, phase = asked.of, asked.limit, asked.phase
    if limit.of is None:
        return
    if not of.sli.percentile and of.sli.unit != "ratio":
        yield asked.wrong(f"{of.sli.text} is compared with nothing: only shares and percentiles are", "write a plain limit")
    elif of.window_s is not None:
        yield asked.wrong("the worst window is no match for a whole phase", "write a plain limit, or leave out 'over …'")
    elif limit.of == "steady_state" and "steady_state" not in asked.loaded.scenario.phases:
        yield asked.wrong("the scenario has no steady_state to compare with", "add `steady_state: 30s` to `phases`")
    elif limit.of == "steady_state" and phase in ("warmup", "steady_state"):
        yield asked.wrong(f"{phase} cannot be compared with steady_state", "write a plain limit")
    elif limit.of == "baseline":
        yield from _to_baseline(asked)


def _to_baseline(asked: _Asked) -> Iterator[Problem]:
    """Two runs are compared by blocks of time, and no sample shows that two are equal."""
    length_s = asked.loaded.scenario.phases[asked.phase]  # type: ignore[index]  # checked by the caller
    if length_s < LEAST_S:
        message = f"{asked.phase} lasts {length_s:g}s; a comparison with a baseline run needs at least {LEAST_S:g}s"
        yield asked.wrong(message, f"write `{asked.phase}: {LEAST_S:g}s` or more, docs/compare.md says how much more")
    elif asked.limit.value == 0.0:
        better = "<= +5%" if asked.of.sli.good == "lower" else ">= -1%"
        message = f"{asked.limit.text!r} can never be shown of equal versions, whatever the sample"
        yield asked.wrong(message, f'write what is allowed: "{better}"')


def _measurable(loaded: Loaded, sli: SliName, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    if sli.family in arrivals.QUALITY and not stack.quality:
        message = f"{sli.text} needs questions with known answers, which the stack {stack.name!r} does not have"
        yield loaded.at_key(where, message, "drop it, or use `stack: {use: reference}`")


def _windowed(loaded: Loaded, phase: str, of: Indicator, where: KeyPath) -> Iterator[Problem]:
    if of.scope is not None and of.sli.family == "lost_ingest":
        yield loaded.at_key(where, "lost documents are counted over all of them", "write `lost_ingest`")
    if of.window_s is None:
        return
    length_s = loaded.scenario.phases[phase]  # type: ignore[index]  # checked by the caller
    if not of.sli.percentile and of.sli.unit != "ratio":
        yield loaded.at_key(where, f"{of.sli.text} has no worst window: only shares and percentiles have", "leave out 'over …'")
    elif of.window_s > length_s:
        yield loaded.at_key(where, f"{phase} is {length_s:g}s long: no window of {of.window_s:g}s fits into it", "write a shorter window")


def _carries(asked: _Asked) -> Iterator[Problem]:
    """Will the phase bring enough samples for the verdict to mean something?"""
    scenario, of, limit, phase = asked.loaded.scenario, asked.of, asked.limit, asked.phase
    journeys, needed = arrivals.counted(of.sli, asked.among), arrivals.samples_needed(of.sli)
    for name in (phase, "steady_state") if limit.of == "steady_state" else (phase,):
        n = _expected(asked, name)
        if n < needed:
            told = f" of {' and '.join(sorted(journeys))}" if journeys else ""
            stretch = f"a window of {of.window_s:g}s" if of.window_s is not None else name
            message = f"{of.sli.text} needs {needed} samples, and {stretch} brings about {math.floor(n)} arrivals{told}"
            longer = "lengthen the window" if of.window_s is not None else "lengthen the phase"
            yield asked.wrong(message, f"{longer}, raise the rate" + (", or add the journey to `mix`" if journeys else ""))
            return
    n = _expected(asked, phase)
    if of.sli.family in arrivals.PROPORTIONS and limit.of is None:
        yield from _provable(asked, n)
    offered = n / scenario.phases[phase]  # type: ignore[index]  # checked above
    if of.sli.family == "goodput" and limit.of is None and limit.value > offered:
        yield asked.wrong(f"goodput cannot reach {limit.text!r}: {phase} offers {offered:g}/s", "write less than what is offered")
    timeout_s = scenario.load.timeout
    if of.sli.percentile and limit.of is None and limit.value >= timeout_s:
        message = f"{limit.text!r} can hardly fail: requests are given up after {timeout_s:g}s"
        yield asked.loaded.at(asked.where, message, "write a limit below `load.timeout`", "warning")


def _expected(asked: _Asked, phase: str) -> float:
    """Samples of the phase; of a window those of the leanest one, less what chance may take from it (three sigma of a Poisson count)."""
    scenario, of = asked.loaded.scenario, asked.of
    if of.window_s is None:
        return arrivals.for_sli(scenario, phase, of.sli, asked.among)
    n = arrivals.leanest(scenario, phase, of.window_s, arrivals.counted(of.sli, asked.among))
    return max(0.0, n - 3.0 * math.sqrt(n))


def _provable(asked: _Asked, n: float) -> Iterator[Problem]:
    """Rule of three: so many arrivals without one failure still leave this much room for doubt."""
    sli, limit = asked.of.sli, asked.limit
    share = limit.value if sli.good == "higher" else 1.0 - limit.value
    needed = arrivals.arrivals_to_prove(share)
    if n >= needed:
        return
    best = math.floor(arrivals.provable_ratio(n) * 1000) / 10
    write = f">= {best:g}%" if sli.good == "higher" else f"<= {100 - best:.3g}%"
    stretch, longer = (asked.phase, "phase") if asked.of.window_s is None else (f"a window of {asked.of.window_s:g}s", "window")
    message = f"{stretch} brings about {math.floor(n)} arrivals, which without one failure prove {write!r} and not {limit.text!r}"
    if math.isfinite(needed):
        yield asked.wrong(f"{message}; {math.ceil(needed)} are needed", f"write {write!r}, or lengthen the {longer}")
    else:
        yield asked.loaded.at(asked.where, f"{message}: no number of arrivals proves certainty", f"write {write!r}", "warning")


def _counted(loaded: Loaded, phase: str, of: Indicator, objective: Objective) -> Iterator[Problem]:
    """Weights and keys are for the gate, and are given once."""
    gate, name, where = loaded.scenario.gate, f"{phase}.{of.text}", ("objectives", phase, of.text)
    for key, given in (("weight", objective.weight is not None), ("key", objective.key)):
        if given and gate is None:
            message = f"{key} does nothing here: without a gate every objective must pass"
            yield loaded.at_key((*where, key), message, "add `gate: {pass: 90%, warn: 75%}`, or leave it out")
    if gate is not None and objective.weight is not None and name in gate.weights:
        yield loaded.at_key((*where, "weight"), f"{name} has a weight in `gate` already", "keep one of them")
