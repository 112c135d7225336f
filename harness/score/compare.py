"""Is the candidate worse than the base? Decided for each metric by an interval of how much worse it is.

    PASS           the whole interval lies below what the metric allows (`worse_by`)
    FAIL           the whole interval lies above zero, and the measured change is at least half of what is allowed
    INCONCLUSIVE   neither: the sample cannot tell, and how large a one could is said

So a sample that is too small for the change that matters is never PASS, and noise alone is never FAIL: both ends of the interval are
exceeded by chance in at most 1 % of the comparisons, all metrics together (Holm 1979). Nothing is random: same records, same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from harness.scenario.comparison import Metric
from harness.scenario.slis import SliName, sli_name
from harness.score import sli as slis
from harness.score import stats
from harness.score.blockwise import LEAST_BLOCKS
from harness.score.check import Result, Status
from harness.score.effect import Comparison, Design, Effect, Side, effect
from harness.score.relative import MIN_SAMPLES
from harness.score.show import show
from harness.score.sli import Observations
from harness.score.spans import BLOCK_S, Span

ALPHA = 0.01  # of all metrics together
MINIMUM_EFFECT = 0.5  # of what is allowed: a smaller change fails nothing, however significant
_FOUND = 1.55  # (t + 1.645) / t: how much narrower an interval must be than what is allowed, for 95 % of such changes to be found
_MOST_TIMES = 1e6


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of both sides. `length_s` is that of a side, and the blocks of both are equally many."""

    name: str
    sli: SliName
    asked: Metric
    base: Observations
    candidate: Observations
    blocks: tuple[Sequence[Span], Sequence[Span]]
    design: Design
    order: int = 1

    @property
    def length_s(self) -> float:
        return math.fsum(b.length_s for b in self.blocks[1])

    @property
    def samples(self) -> tuple[int, int]:
        return len(self.base), len(self.candidate)


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric's outcome, with the numbers behind it. Effects are positive where the candidate is worse."""

    result: Result
    base: float | None = None
    candidate: float | None = None
    effect: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    p_worse: float | None = None
    samples: tuple[int, int] = (0, 0)
    needed_s: float | None = None  # length of a side that could have told; None where this one could

    def to_json(self) -> dict[str, Any]:
        numbers = {
            "base": self.base,
            "candidate": self.candidate,
            "effect": self.effect,
            "confidence": self.confidence,
            "p_worse": self.p_worse,
            "samples_base": self.samples[0],
            "samples_candidate": self.samples[1],
            "needed_s": self.needed_s,
        }
        return {**self.result.to_json(), **numbers}


def judge(measured: Sequence[Measured]) -> tuple[Compared, ...]:
    """All metrics of one comparison, each at its level of Holm's procedure."""
    effects, reasons = _effects(measured)
    p_worse = {name: found.above(0.0) for name, found in effects.items()}
    levels = holm(p_worse, ALPHA)
    judged = []
    for metric in measured:
        blank = _blank(metric)
        if metric.name in effects:
            judged.append(_decide(metric, blank, effects[metric.name], p_worse[metric.name], levels[metric.name]))
        else:
            judged.append(replace(blank, result=_undecided(metric, reasons[metric.name])))
    return tuple(judged)


def statuses(measured: Sequence[Measured]) -> dict[str, Status]:
    """What `judge` decides of the metrics that can be measured, without the intervals that it shows for it: for many comparisons."""
    effects, _ = _effects(measured)
    levels = holm({name: found.above(0.0) for name, found in effects.items()}, ALPHA)
    allowed = {m.name: m.asked.margin for m in measured}
    return {name: decide(found, allowed[name], levels[name]) for name, found in effects.items()}


def _effects(measured: Sequence[Measured]) -> tuple[dict[str, Effect], dict[str, str]]:
    """By metric: its effect, or why there is none."""
    effects: dict[str, Effect] = {}
    reasons: dict[str, str] = {}
    for metric in measured:
        reason = _unmeasurable(metric)
        if reason is None:
            sides = (Side(metric.base, metric.blocks[0]), Side(metric.candidate, metric.blocks[1]))
            try:
                effects[metric.name] = effect(Comparison(*sides, metric.design, metric.order), metric.sli)
                continue
            except ValueError as error:
                reason = str(error)
        reasons[metric.name] = reason
    return effects, reasons


def holm(p_values: Mapping[str, float], alpha: float) -> dict[str, float]:
    """The level at which each hypothesis is tested, so that all together are wrongly rejected with at most `alpha` (Holm 1979)."""
    levels: dict[str, float] = {}
    level, rejected = alpha / max(1, len(p_values)), True
    for n, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        if rejected:
            level = alpha / (len(p_values) - n)
        levels[name] = level
        rejected = rejected and p <= level
    return levels


def decide(found: Effect, allowed: float, level: float) -> Status:
    """The rule at the head of this module, on its own."""
    if found.below(allowed) <= level:
        return Status.PASS
    if found.above(0.0) <= level and found.measured >= MINIMUM_EFFECT * allowed:
        return Status.FAIL
    return Status.INCONCLUSIVE


def _decide(metric: Measured, blank: Compared, found: Effect, p_worse: float, level: float) -> Compared:
    allowed = metric.asked.margin
    status = decide(found, allowed, level)
    low, high = found.interval(level)
    compared = replace(
        blank,
        effect=stats.rounded(found.measured),
        interval=(stats.rounded(low), stats.rounded(high)),
        confidence=stats.rounded(1.0 - 2.0 * level),
        p_worse=stats.rounded(p_worse),
    )
    told = f"{_changed(metric.sli, found.measured)}, {1.0 - 2.0 * level:.1%} interval {points(low)} to {points(high)}"
    if status is Status.INCONCLUSIVE:
        needed_s = metric.length_s * _times(low, high, allowed)
        compared = replace(compared, needed_s=stats.rounded(needed_s))
        told += f": {_why(low, high, allowed)}; {_needed(metric, needed_s)}"
    else:
        told += f": {_concluded(status, low, high, allowed)}"
    sides = [f"{_value(metric, value)} (n={n})" for value, n in zip((compared.base, compared.candidate), metric.samples, strict=True)]
    block_s = metric.blocks[1][0].length_s
    evidence = (
        f"base {sides[0]}, candidate {sides[1]}",
        f"{len(metric.blocks[1])} blocks of {block_s:.3g}s, {metric.design}; p={p_worse:.2g} against 'no worse'",
    )
    result = replace(
        compared.result, status=_weight(metric, status), reason=told, value=compared.effect, interval=compared.interval, evidence=evidence
    )
    return replace(compared, result=result)


def _blank(metric: Measured) -> Compared:
    limit = f"<= {metric.asked.worse_by} worse"
    result = Result(metric.name, "compare", Status.INCONCLUSIVE, "", limit=limit, unit="ratio", samples=len(metric.candidate))
    values = (slis.value(side, metric.sli) for side in (metric.base, metric.candidate))
    base, candidate = (None if v is None else stats.rounded(v) for v in values)
    return Compared(result, base, candidate, samples=metric.samples)


def _unmeasurable(metric: Measured) -> str | None:
    """Why a metric cannot even be looked at."""
    if not len(metric.base) or not len(metric.candidate):
        which = "neither side has" if not len(metric.base) and not len(metric.candidate) else "one side has not"
        return f"{which} a single reading of {metric.sli.text}"
    reaching = stats.samples_to_prove((metric.sli.argument or 0.0) / 100.0) if metric.sli.percentile else 0
    needed = max(MIN_SAMPLES, reaching, metric.asked.min_samples or 0)
    if min(metric.samples) < needed:
        return f"{metric.samples[0]} against {metric.samples[1]} readings; a comparison needs {needed} on each side"
    blocks = min(len(side) for side in metric.blocks)
    if blocks < LEAST_BLOCKS:
        return (
            f"{metric.length_s:.3g}s are {blocks} blocks, too few to tell a change from noise; "
            f"at least {LEAST_BLOCKS} are needed, {LEAST_BLOCKS * BLOCK_S:g}s of each side"
        )
    return None


def _undecided(metric: Measured, reason: str) -> Result:
    result = replace(_blank(metric).result, status=_weight(metric, Status.INCONCLUSIVE), reason=reason)
    if metric.asked.must_have_data and not len(metric.candidate) and len(metric.base) >= MIN_SAMPLES:
        told = f"the base has {len(metric.base)} readings of {metric.sli.text}, the candidate none, and it must have data"
        return replace(result, status=_weight(metric, Status.FAIL), reason=told)
    return result


def _weight(metric: Measured, status: Status) -> Status:
    """A metric that is not critical warns at most; what it could not tell is a warning as well."""
    return status if metric.asked.critical or status is Status.PASS else Status.WARN


def _times(low: float, high: float, allowed: float) -> float:
    """How many times as much would be needed: the interval's width falls with the square root."""
    times = ((high - low) / 2.0 * _FOUND / allowed) ** 2
    return min(_MOST_TIMES, max(times, 2.0 if times <= 1.0 else times))


def _needed(metric: Measured, needed_s: float) -> str:
    times = needed_s / metric.length_s
    if times >= _MOST_TIMES:
        return "the sample bounds nothing"
    requests = math.ceil(min(metric.samples) * times)
    side = "of both sides together" if metric.design == "interleaved" else "of each side"
    beside = "" if metric.design == "interleaved" else "; side by side in one run a fraction would do (docs/compare.md)"
    return f"about {math.ceil(needed_s)}s {side} ({requests} readings of each) would be needed{beside}"


def _why(low: float, high: float, allowed: float) -> str:
    if low > 0:
        return f"worse, but perhaps by less than matters ({points(MINIMUM_EFFECT * allowed)})"
    return f"it may be no change, or one of {points(allowed)} and more" if high >= allowed else "noise"


def _concluded(status: Status, low: float, high: float, allowed: float) -> str:
    if status is Status.FAIL:
        return f"worse, and by more than {points(MINIMUM_EFFECT * allowed)}"
    if low > 0:
        return f"worse, but by less than {points(allowed)}"
    return "better" if high < 0 else f"no change of {points(allowed)} is left possible"


def _changed(sli: SliName, measured: float) -> str:
    if sli.percentile:
        return f"{points(measured)} duration"
    lost = -measured if sli.good == "higher" else measured
    return f"{lost * 100:+.2f} points"


def points(value: float) -> str:
    """`+10.3%`; the last digit is a tenth of a per cent. A bound that was not reached reads as such."""
    if abs(value) >= 1000.0 or value <= -0.999:
        return "any" if value > 0 else "-100%"
    return f"{value * 100:+.1f}%"


def _value(metric: Measured, value: float | None) -> str:
    return "-" if value is None else show(value, metric.sli.unit)


def cut(span: Span, most: int) -> Sequence[Span]:
    """The span in equal blocks, none shorter than `BLOCK_S` and at most so many."""
    count = max(1, min(most, int(span.length_s / BLOCK_S + 1e-9)))
    borders = [span.start_ns + (span.end_ns - span.start_ns) * i // count for i in range(count + 1)]
    return [Span(a, b) for a, b in pairwise(borders)]


def applicable(metrics: Mapping[str, Metric], has_readings: Mapping[str, bool]) -> Iterator[tuple[SliName, Metric]]:
    """The metrics to compare: those that must have data, and those of which a side has a reading."""
    for name, metric in metrics.items():
        if metric.must_have_data or has_readings[name]:
            yield sli_name(name), metric
