"""Limits relative to the phase in a baseline run (`<= +10%`): two runs one after the other, by the statistics of a comparison.

PASS: a change as large as the limit is excluded. FAIL: the limit is broken, and "no change" is excluded (of a limit that asks for an
improvement: that it is there). Else INCONCLUSIVE, whatever the measured value: a sample that cannot tell a broken limit from a kept one
proves neither. Each is wrong in at most 1 % of the cases (`score.effect`; tests/benchmarks/objective_power.py). So a change of the very
size of the limit never passes, and fails where it was measured on the wrong side; one of twice that size is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import compare, stats
from harness.score import sli as slis
from harness.score.blockwise import LEAST_BLOCKS, MOST_BLOCKS
from harness.score.check import Result, Status
from harness.score.effect import Comparison, Effect, effect
from harness.score.effect import Side as Readings
from harness.score.relative import Side, change, compared, enough
from harness.score.spans import BLOCK_S, Span

ALPHA = 0.01  # of each of the two errors


def judge_to_baseline(blank: Result, candidate: Side, baseline: Side, sli: SliName, limit: Limit, order: int = 1) -> Result:
    """`order` is -1 where the run was made before its baseline."""
    if not slis.bounds(sli, limit.op):
        raise ValueError(f"{limit.op} is not the good direction of {sli.text}")
    sides = [slis.observe(side.rows, sli, side.context) for side in (baseline, candidate)]
    base, measured = (slis.value(side, sli) for side in sides)
    if measured is None or base is None or (reason := enough(sides[1], sides[0], sli, limit)):
        return replace(blank, samples=len(sides[1]), reason=reason or f"one side has no reading of {sli.text}")
    result = replace(blank, value=stats.rounded(measured), samples=len(sides[1]), evidence=(compared(sli, base, limit),))
    blocks = _blocks(baseline.span, candidate.span)
    told = f"{change(measured, base)} baseline {'keeps' if slis.keeps(limit, measured, base) else 'breaks'} {limit.text}"
    try:
        found = effect(Comparison(Readings(sides[0], blocks[0]), Readings(sides[1], blocks[1]), "sequential", order), sli)
    except ValueError:
        needed = f"{LEAST_BLOCKS * BLOCK_S:g}s of each run"
        return replace(result, reason=f"{told}, but {len(blocks[1])} blocks of 5s are too few to tell it from noise; {needed} are needed")
    allowed = limit.value if sli.percentile else abs(limit.value) * base * (1.0 if _allows_worse(sli, limit) else -1.0)
    low, high = found.interval(ALPHA)
    told += f"; {1.0 - 2.0 * ALPHA:.0%} interval of what is worse: {compare.points(low)} to {compare.points(high)}"
    result = replace(result, interval=_of_value(sli, base, low, high))
    return _decided(result, told, found, allowed, kept=slis.keeps(limit, measured, base))


def _of_value(sli: SliName, base: float, low: float, high: float) -> tuple[float, float]:
    """Where the value lies beside the baseline's: the bound lies outside where it passes, the baseline's own where it fails."""
    if sli.percentile:
        ends = (base * (1.0 + low), base * (1.0 + high))
    else:
        ends = (base + low, base + high) if sli.good == "lower" else (base - high, base - low)
    return (stats.rounded(ends[0]), stats.rounded(ends[1]))


def _decided(result: Result, told: str, found: Effect, allowed: float, *, kept: bool) -> Result:
    if kept and found.below(allowed) <= ALPHA:
        return replace(result, status=Status.PASS, reason=f"{told}, n={result.samples}")
    if not kept and found.above(min(0.0, allowed)) <= ALPHA:
        return replace(result, status=Status.FAIL, reason=f"{told}, n={result.samples}")
    why = "it may be more than that" if kept else "it may be no change"
    return replace(result, reason=f"{told}: {why}; longer runs, or both versions side by side in one, could tell (docs/compare.md)")


def _allows_worse(sli: SliName, limit: Limit) -> bool:
    """`availability >= -1%` does, `>= +1%` asks for more than there was."""
    return (limit.value > 0) == (sli.good == "lower")


def _blocks(baseline: Span, candidate: Span) -> tuple[Sequence[Span], Sequence[Span]]:
    """Equally many of both."""
    count = min(len(compare.cut(span, MOST_BLOCKS)) for span in (baseline, candidate))
    return compare.cut(baseline, count), compare.cut(candidate, count)
