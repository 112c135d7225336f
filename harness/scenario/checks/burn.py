"""Burn-rate rules that could never fire, never in time, or whose silence would prove nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.scenario import arrivals
from harness.scenario.burn import BurnRate
from harness.scenario.catalog import StackInfo
from harness.scenario.checks.limits import wrong_limit
from harness.scenario.checks.scopes import check_scope, scoped
from harness.scenario.loader import Loaded
from harness.scenario.model import FaultUse, Scenario
from harness.scenario.problem import KeyPath, Problem, did_you_mean


def check_burn_rates(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `burn_rates`."""
    seen: set[str] = set()
    for n, rule in enumerate(loaded.scenario.burn_rates):
        where: KeyPath = ("burn_rates", n)
        if rule.id in seen:
            yield loaded.at((*where, "id"), f"burn-rate rule {rule.id!r} is there twice", "give each rule its own id")
        seen.add(rule.id)
        found = [*_objective(loaded, stack, rule, where)] or [*_feasible(loaded, rule, where)]
        yield from found
        if rule.fires == "never":
            yield from _phases(loaded, rule, where)
            yield from () if found else _silence(loaded, rule, where)
            continue
        fault = next((f for f in loaded.scenario.faults if f.id == rule.fires), None)
        if fault is None:
            known = [*(f.id for f in loaded.scenario.faults), "never"]
            yield loaded.at((*where, "fires"), f"there is no fault with id {rule.fires!r}", did_you_mean(rule.fires, known))
        elif not found:
            yield from _in_time(loaded, rule, fault, where)


def _objective(loaded: Loaded, stack: StackInfo, rule: BurnRate, where: KeyPath) -> Iterator[Problem]:
    of, at = rule.of, (*where, "objective", next(iter(rule.objective)))
    yield from check_scope(loaded, stack, of, at)
    if of.window_s is not None:
        yield loaded.at_key(at, "the windows of a rule are `long` and `short`", "leave out 'over …'")
    elif not of.sli.percentile and of.sli.unit != "ratio":
        yield loaded.at_key(at, f"{of.sli.text} has no error budget", 'write a share or a percentile: {availability: ">= 99%"}')
    elif of.sli.family == "itl":
        yield loaded.at_key(at, f"when each gap of {of.sli.text} was known is not recorded", f"write max_gap_p{of.sli.argument:g}")
    elif rule.limit.of is not None:
        yield loaded.at(at, "a budget cannot be relative", 'write a plain limit: ">= 99%"')
    elif of.sli.family in arrivals.QUALITY and not stack.quality:
        message = f"{of.sli.text} needs questions with known answers, which the stack {stack.name!r} does not have"
        yield loaded.at_key(at, message, "write an availability or a percentile")
    else:
        yield from (loaded.at(at, message, hint) for message, hint in wrong_limit(of.sli, rule.limit))


def _feasible(loaded: Loaded, rule: BurnRate, where: KeyPath) -> Iterator[Problem]:
    """Compression changes the clock and not this: a factor that needs more errors than there are requests."""
    if rule.budget <= 0.0:
        message = f"{rule.limit.text!r} leaves no error budget that could burn"
        yield loaded.at((*where, "objective", next(iter(rule.objective))), message, "write a limit below 100%")
    elif rule.threshold >= 1.0:
        at_most = math.ceil(1.0 / rule.budget * 100.0 - 1e-9) / 100.0
        message = f"the rule can never fire: {rule.factor:g} times a budget of {rule.budget:.4g} is an error ratio of {rule.threshold:.0%}"
        yield loaded.at((*where, "factor"), message, f"write a factor below {at_most:g}")


def _phases(loaded: Loaded, rule: BurnRate, where: KeyPath) -> Iterator[Problem]:
    for n, phase in enumerate(rule.phases):
        if phase not in loaded.scenario.phases:
            hint = did_you_mean(phase, loaded.scenario.phases)
            yield loaded.at((*where, "phases", n), f"the scenario has no phase {phase!r}", hint)


def _silence(loaded: Loaded, rule: BurnRate, where: KeyPath) -> Iterator[Problem]:
    """So little traffic that errors at the threshold would not be `min_events`."""
    scenario = loaded.scenario
    short_s = rule.windows_s(scenario.time_scale)[1]
    for phase in rule.quiet_in(scenario.phases):
        bad = _rate_per_s(scenario, rule, phase) * short_s * rule.threshold
        if bad < rule.min_events:
            message = (
                f"its silence would prove nothing: at its threshold of {rule.threshold:.3g}, {phase} brings {bad:.2g} bad requests "
                f"in a short window of {short_s:g}s, and it wants {rule.min_events}"
            )
            yield loaded.at(where, message, "raise the rate, lengthen `short`, or lower `min_events`")
            return


def _in_time(loaded: Loaded, rule: BurnRate, fault: FaultUse, where: KeyPath) -> Iterator[Problem]:
    scenario = loaded.scenario
    long_s, short_s = rule.windows_s(scenario.time_scale)
    phase_s = scenario.phases.get(fault.phase, 0.0)  # type: ignore[call-overload]  # a phase that is missing is told elsewhere
    lasts_s = fault.for_s if fault.for_s is not None else phase_s - fault.offset_s
    given_s = min(lasts_s, rule.within.value) if rule.within is not None and rule.within.unit == "s" else lasts_s
    after_s, outage = rule.fires_after_s(scenario.time_scale), _rate_per_s(scenario, rule, fault.phase) * short_s
    if rule.within is not None and (rule.within.unit != "s" or rule.within.of is not None or rule.within.op not in ("<", "<=")):
        yield loaded.at((*where, "within"), f"{rule.within.text!r} is no upper limit of a time", 'write "<= 20s"')
    elif after_s > given_s:
        scale = math.ceil(scenario.time_scale * after_s / given_s)
        what = "within" if given_s < lasts_s else "fires"
        message = f"it cannot fire in time: even where every request fails it takes {after_s:.3g}s, and there are {given_s:g}s"
        yield loaded.at((*where, what), message, f"write `time_scale: {scale}` or more, shorter windows, or a smaller factor")
    elif outage < rule.min_events:
        short = f"{outage:.2g} requests in a short window of {short_s:g}s"
        message = f"it can never fire: {fault.phase} brings {short}, and it wants {rule.min_events} bad ones"
        yield loaded.at((*where, "min_events"), message, "raise the rate, lengthen `short`, or lower `min_events`")
    elif long_s > (before_s := scenario.phase_start_s(fault.phase) + fault.offset_s):
        scale = math.ceil(scenario.time_scale * long_s / before_s) if before_s else 0
        hint = f"write `time_scale: {scale}` or more" if scale else "let a steady_state come before"
        message = f"its long window of {long_s:g}s is not full when the fault comes after {before_s:g}s: it would fire too early"
        yield loaded.at((*where, "long"), message, hint, "warning")


def _rate_per_s(scenario: Scenario, rule: BurnRate, phase: str) -> float:
    """Requests a second that the rule counts."""
    if phase not in scenario.phases:
        return 0.0
    return arrivals.for_sli(scenario, phase, rule.of.sli, scoped(rule.of.scope, scenario)) / scenario.phases[phase]
