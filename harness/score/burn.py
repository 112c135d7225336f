"""Burn-rate rules, replayed on the requests of the record.

At every moment a rule sees the requests whose end was known by then, in its long and in its short window. It fires while the error ratio of
both exceeds the threshold, factor x (1 - SLO), and the short window holds `min_events` bad ones. What it sees changes only where a request
comes in or goes out of a window, so looking there is looking at every moment. Before a window is full it holds what there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.history import History
from harness.scenario.burn import BurnRate
from harness.scenario.model import Scenario
from harness.score import sli as slis
from harness.score import stats
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.preconditions import Preconditions
from harness.score.scopes import belonging
from harness.score.show import show
from harness.score.spans import NS_PER_S, Span, active, of_phase, seconds
from harness.score.timeline import Timeline

LISTED = 5  # lines of evidence


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule did in a span. The burn rate of a moment is the smaller one of its two windows."""

    firing: tuple[Span, ...]
    peak: float  # the highest burn rate
    peak_ns: int

    @property
    def first_ns(self) -> int | None:
        """When it first fired."""
        return self.firing[0].start_ns if self.firing else None


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """Each rule: silent where it must be, or fired during its fault."""
    before, context = Preconditions(history, scenario), Context.of(history)
    for rule in scenario.burn_rates:
        judge = _silent if rule.fires == "never" else _fires
        unit = "number" if rule.fires == "never" else "s"
        blank = Result(f"burn_rate.{rule.id}", "burn_rate", Status.INCONCLUSIVE, "", limit=_asked(rule), unit=unit)
        yield judge(blank, rule, before, context)


def _asked(rule: BurnRate) -> str:
    if rule.fires == "never":
        return f"<= {rule.factor:g}"
    return rule.within.text if rule.within is not None else f"during {rule.fires}"


def replay(found: Timeline, rule: BurnRate, span: Span, time_scale: float) -> Replay:
    """The rule over a span, on bad ones at the time when each was known."""
    long_s, short_s = rule.windows_s(time_scale)
    lengths = (round(long_s * NS_PER_S), round(short_s * NS_PER_S))
    turns_ns, fires_on = list[int](), False  # where it begins and ends to fire, in turn
    peak, peak_ns = 0.0, span.start_ns
    for moments in found.changes((0, *lengths), span):
        fires, burn = _at(found, rule, moments, lengths)
        turns_ns.extend(moments[np.flatnonzero(np.diff(fires, prepend=fires_on))].tolist())
        fires_on = bool(fires[-1])
        highest = int(np.argmax(burn))
        if burn[highest] > peak:
            peak, peak_ns = float(burn[highest]), int(moments[highest])
    ends_ns = [*turns_ns, span.end_ns] if fires_on else turns_ns
    return Replay(tuple(Span(a, b) for a, b in zip(ends_ns[::2], ends_ns[1::2], strict=True)), peak, peak_ns)


def _at(found: Timeline, rule: BurnRate, moments: NDArray[Any], lengths: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Does it fire, and how fast does the budget burn, at each of the moments?"""
    fires = np.ones(len(moments), dtype=np.bool_)
    burn = np.full(len(moments), np.inf)
    last = np.searchsorted(found.t_ns, moments, side="right")
    for length_ns in lengths:
        first = np.searchsorted(found.t_ns, moments - length_ns, side="right")
        samples = last - first
        bad = found.bad(first, last)
        fires &= bad > np.round(rule.threshold * samples, 9)
        burn = np.minimum(burn, bad / np.maximum(samples, 1) / rule.budget)
    return fires & (bad >= rule.min_events), burn  # `bad` is now of the short window


def _timeline(rule: BurnRate, before: Preconditions, context: Context) -> Timeline:
    rows = belonging(before.history.requests, rule.of.scope, before.scenario, context.journeys)
    observations = slis.observe(rows, rule.of.sli, context, slis.known_ns)
    found = slis.proportion(observations, rule.of.sli, rule.limit.op, rule.limit.value)
    if found is None:
        raise ValueError(f"{rule.limit.op} is not the good direction of {rule.of.sli.text}")
    return Timeline.of(found)


def _silent(blank: Result, rule: BurnRate, before: Preconditions, context: Context) -> Result:
    phases = rule.quiet_in(before.scenario.phases)
    reason = next((why for phase in phases if (why := before.phase(phase)) is not None), None)
    if reason is not None or not phases:
        return replace(blank, reason=reason or "the scenario has none of the phases in which it must be silent")
    found, scale = _timeline(rule, before, context), before.scenario.time_scale
    spans = [of_phase(before.history, span) for span in before.history.phases if span.name in phases]
    replays = [replay(found, rule, span, scale) for span in spans]
    worst = max(replays, key=lambda one: one.peak)
    samples = sum(found.samples(span) for span in spans)
    firing = [span for one in replays for span in one.firing]
    evidence = (*_told(before.history, firing), _theory(rule, scale))
    told = replace(blank, value=stats.rounded(worst.peak), samples=samples, evidence=evidence)
    at_s = seconds(before.history.start_ns, worst.peak_ns)
    if firing:
        fired_s = seconds(before.history.start_ns, firing[0].start_ns)
        why = f"fired {fired_s:g}s into the run; the burn rate was at most {worst.peak:.4g}, {at_s:g}s into the run"
        return replace(told, status=Status.FAIL, reason=why)
    short_s = rule.windows_s(scale)[1]
    fewest = min(found.samples(span) / span.length_s for span in spans) * short_s * rule.threshold
    if fewest < rule.min_events:
        why = f"silent, but its threshold of {rule.threshold:.3g} would be {fewest:.2g} bad requests in a short window of {short_s:g}s"
        return replace(told, reason=f"{why}, fewer than its min_events of {rule.min_events}: silence proves nothing")
    return replace(told, status=Status.PASS, reason=f"silent: the burn rate was at most {worst.peak:.4g}, n={samples}")


def _fires(blank: Result, rule: BurnRate, before: Preconditions, context: Context) -> Result:
    use = next((use for use in before.scenario.faults if use.id == rule.fires), None)
    fault = before.history.fault(rule.fires)
    if use is None or fault is None:
        return replace(blank, reason=f"fault {rule.fires} was never injected")
    span = active(fault, before.history)
    reason = before.fault(use.id) or before.phase(use.phase)
    if reason is not None or span is None:
        return replace(blank, reason=reason or f"fault {rule.fires} has no onset")
    found, scale = _timeline(rule, before, context), before.scenario.time_scale
    seen = replay(found, rule, span, scale)
    told = replace(blank, samples=found.samples(span), evidence=(*_told(before.history, seen.firing), _theory(rule, scale)))
    if seen.first_ns is None:
        why = f"never fired during {rule.fires}: the burn rate was at most {seen.peak:.4g}, and its factor is {rule.factor:g}"
        return replace(told, status=Status.FAIL, reason=why)
    if seen.first_ns == span.start_ns and replay(found, rule, Span(span.start_ns - 1, span.start_ns), scale).firing:
        return replace(told, reason=f"it was firing already when {rule.fires} began")
    after_s = seconds(span.start_ns, seen.first_ns)
    kept = rule.within is None or slis.keeps(rule.within, after_s)
    why = f"fired {show(after_s, 's')} after the onset of {rule.fires}"
    within = f", {'within' if kept else 'later than'} {rule.within.text}" if rule.within is not None else ""
    return replace(told, status=Status.PASS if kept else Status.FAIL, value=stats.rounded(after_s), reason=f"{why}{within}")


def _told(history: History, firing: Iterable[Span]) -> tuple[str, ...]:
    spans = [(seconds(history.start_ns, span.start_ns), seconds(history.start_ns, span.end_ns)) for span in firing]
    lines = [f"fired from {start_s:g}s to {end_s:g}s" for start_s, end_s in spans[:LISTED]]
    return (*lines, f"and {len(spans) - LISTED} times more") if len(spans) > LISTED else tuple(lines)


def _theory(rule: BurnRate, time_scale: float) -> str:
    """The budget of time for whoever detects the same: what the arithmetic allows."""
    long_s, short_s = rule.windows_s(time_scale)
    compressed = f", compressed {time_scale:g} times" if time_scale != 1.0 else ""
    after = f"at a total outage it fires after {show(stats.rounded(rule.fires_after_s(time_scale)), 's')}"
    return f"above an error ratio of {show(rule.threshold, 'ratio')} in {long_s:g}s and in {short_s:g}s{compressed}; {after}"
