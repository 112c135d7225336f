"""Limits relative to steady_state (`<= +25% of steady_state`), which must not blame noise; of a baseline run: `score.to_baseline`.

Kept by the measured value: PASS. Broken and significant (scatter of whole 5 s blocks, p <= 5 %), and clearly more than what changed
within the phases themselves: FAIL. Broken but within the run's own noise: WARN up to twice the allowance, INCONCLUSIVE beyond it, because
then the noise hides more than the limit is about. Too few samples or blocks: INCONCLUSIVE.

The test takes blocks for independent. Where latency wanders over tens of seconds, neighbouring blocks are alike, and a phase holds
only two or three of its swings: without the second condition up to a fifth of such runs would fail against themselves, which
tests/quality/test_noise.py bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.record.pieces import Requests
from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import blockwise, stats
from harness.score import sli as slis
from harness.score.blockwise import Blocks
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.sli import Observations, Proportion
from harness.score.spans import Span, blocks

MIN_SAMPLES = 59  # what reaches beyond a p95; a comparison needs that on both sides, whatever the SLI
MIN_BLOCKS = 3
BEYOND_DRIFT = 1.5  # times the change from half to half within a phase, that the change between the phases must exceed


@dataclass(frozen=True, slots=True)
class Side:
    """Requests of one side of a comparison, the span in which they were due, and what reads them."""

    rows: Requests
    span: Span
    context: Context


def judge_relative(blank: Result, candidate_side: Side, reference_side: Side, sli: SliName, limit: Limit) -> Result:
    """A share or percentile of one side against that of the other, which the limit names."""
    candidate = slis.observe(candidate_side.rows, sli, candidate_side.context)
    reference = slis.observe(reference_side.rows, sli, reference_side.context)
    measured, base = slis.value(candidate, sli), slis.value(reference, sli)
    reason = enough(candidate, reference, sli, limit)
    if measured is None or base is None or reason:
        return replace(blank, samples=len(candidate), reason=reason or "")
    result = replace(blank, value=stats.rounded(measured), samples=len(candidate), evidence=(compared(sli, base, limit),))
    if slis.keeps(limit, measured, base):
        kept = f"{change(measured, base)} {limit.of} keeps {limit.text}"
        return replace(result, status=Status.PASS, reason=f"{kept}, n={len(candidate)}")
    return _broken(result, (reference, reference_side.span), (candidate, candidate_side.span), sli, limit, (measured, base))


def enough(candidate: Observations, reference: Observations, sli: SliName, limit: Limit) -> str | None:
    """Why the readings are too few for a comparison; None where they are not."""
    needed = max(MIN_SAMPLES, stats.samples_to_prove((sli.argument or 0.0) / 100.0) if sli.percentile else 0)
    if min(len(candidate), len(reference)) >= needed:
        return None
    return f"{len(candidate)} samples against {len(reference)} of {limit.of}; a comparison needs {needed} on each side"


def _broken(
    result: Result,
    reference: tuple[Observations, Span],
    candidate: tuple[Observations, Span],
    sli: SliName,
    limit: Limit,
    values: tuple[float, float],
) -> Result:
    measured, base = values
    sides = [_blocks(side, sli, limit.op, limit.bound(base)) for side in (reference, candidate)]
    if any(len(side) < MIN_BLOCKS for side in sides):
        reason = f"breaks {limit.text}, but {len(sides[0])} and {len(sides[1])} blocks of 5s are too few to tell it from noise"
        return replace(result, reason=reason)
    p = blockwise.still(Blocks.of_shares(sides[0]), Blocks.of_shares(sides[1])).above(0.0)
    told = f"{change(measured, base)} {limit.of} breaks {limit.text}"
    wandering = stats.share_of(sides[1]) - stats.share_of(sides[0]) <= BEYOND_DRIFT * max(stats.drift(side) for side in sides)
    if p <= stats.ALPHA and not wandering:
        return replace(result, status=Status.FAIL, reason=f"{told}, p={p:.2g} over blocks of 5s")
    why = "it changed by as much within a phase" if p <= stats.ALPHA else f"p={p:.2g} over blocks of 5s"
    noise = f"{told}, but may be this run's own noise ({why})"
    twice = limit.value * 2.0
    if abs(measured - base) <= abs(base * twice):
        return replace(result, status=Status.WARN, reason=noise)
    return replace(result, reason=f"{noise}; the noise hides more than twice the limit")


def _blocks(side: tuple[Observations, Span], sli: SliName, op: str, bound: float) -> Sequence[stats.Block]:
    observations, span = side
    proportion: Proportion | None = slis.proportion(observations, sli, op, bound)
    if proportion is None:
        raise ValueError(f"{op} is not the good direction of {sli.text}")
    return [block for block in proportion.counts(blocks(span)) if block[1] > 0]


def change(measured: float, base: float) -> str:
    """`+12.3% of`, to be followed by what it is relative to."""
    if base == 0:
        return f"{measured:.4g} instead of 0 in"
    return f"{(measured / base - 1.0) * 100:+.1f}% of"


def compared(sli: SliName, base: float, limit: Limit) -> str:
    """The line of evidence: what it is relative to, and what follows from that."""
    return f"{sli.text} of {limit.of}: {stats.rounded(base):g}; bound: {stats.rounded(limit.bound(base)):g}"
