"""Limits relative to an earlier phase of the same run (`<= +25% of steady_state`), which must not blame noise.

Kept by the measured value: PASS. Broken and significant (scatter of whole 5 s blocks, p <= 5 %), and clearly more than what changed
within the phases themselves: FAIL. Broken but within the run's own noise: WARN up to twice the allowance, INCONCLUSIVE beyond it, because
then the noise hides more than the limit is about. Too few samples or blocks: INCONCLUSIVE.

The test takes blocks for independent. Where latency wanders over tens of seconds, neighbouring blocks are alike, and a phase holds
only two or three of its swings: without the second condition up to a fifth of such runs would fail against themselves, which
tests/quality/test_noise.py bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.record.history import History
from harness.record.views import PhaseSpan
from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import blockwise, stats
from harness.score import sli as slis
from harness.score.blockwise import Blocks
from harness.score.check import Result, Status
from harness.score.sli import Context, Observations, Proportion
from harness.score.spans import blocks, of_phase

MIN_SAMPLES = 59  # what reaches beyond a p95; a comparison needs that on both sides, whatever the SLI
MIN_BLOCKS = 3
BEYOND_DRIFT = 1.5  # times the change from half to half within a phase, that the change between the phases must exceed


def judge_relative(blank: Result, history: History, context: Context, phase: str, sli: SliName, limit: Limit) -> Result:
    """A share or percentile of `phase` against that of the phase which the limit names."""
    candidate_span, reference_span = _span(history, phase), _span(history, str(limit.of))
    candidate = slis.observe(history.in_phase(candidate_span.name), sli, context)
    reference = slis.observe(history.in_phase(reference_span.name), sli, context)
    needed = max(MIN_SAMPLES, stats.samples_to_prove((sli.argument or 0.0) / 100.0) if sli.percentile else 0)
    measured, base = slis.value(candidate, sli), slis.value(reference, sli)
    if measured is None or base is None or min(len(candidate), len(reference)) < needed:
        reason = f"{len(candidate)} samples against {len(reference)} of {limit.of}; a comparison needs {needed} on each side"
        return replace(blank, samples=len(candidate), reason=reason)
    bound = limit.bound(base)
    result = replace(blank, value=stats.rounded(measured), samples=len(candidate), evidence=(_compared(sli, base, bound, limit),))
    if slis.keeps(limit, measured, base):
        change = _change(measured, base)
        return replace(result, status=Status.PASS, reason=f"{change} {limit.of} keeps {limit.text}, n={len(candidate)}")
    return _broken(result, (reference, reference_span), (candidate, candidate_span), history, sli, limit, (measured, base))


def _broken(
    result: Result,
    reference: tuple[Observations, PhaseSpan],
    candidate: tuple[Observations, PhaseSpan],
    history: History,
    sli: SliName,
    limit: Limit,
    values: tuple[float, float],
) -> Result:
    measured, base = values
    sides = [_blocks(history, side, sli, limit.op, limit.bound(base)) for side in (reference, candidate)]
    if any(len(side) < MIN_BLOCKS for side in sides):
        reason = f"breaks {limit.text}, but {len(sides[0])} and {len(sides[1])} blocks of 5s are too few to tell it from noise"
        return replace(result, reason=reason)
    p = blockwise.still(*(Blocks.of_shares(side) for side in sides)).above(0.0)
    change = f"{_change(measured, base)} {limit.of} breaks {limit.text}"
    wandering = stats.share_of(sides[1]) - stats.share_of(sides[0]) <= BEYOND_DRIFT * max(stats.drift(side) for side in sides)
    if p <= stats.ALPHA and not wandering:
        return replace(result, status=Status.FAIL, reason=f"{change}, p={p:.2g} over blocks of 5s")
    why = "it changed by as much within a phase" if p <= stats.ALPHA else f"p={p:.2g} over blocks of 5s"
    noise = f"{change}, but may be this run's own noise ({why})"
    twice = limit.value * 2.0
    if abs(measured - base) <= abs(base * twice):
        return replace(result, status=Status.WARN, reason=noise)
    return replace(result, reason=f"{noise}; the noise hides more than twice the limit")


def _blocks(history: History, side: tuple[Observations, PhaseSpan], sli: SliName, op: str, bound: float) -> Sequence[stats.Block]:
    observations, span = side
    proportion: Proportion | None = slis.proportion(observations, sli, op, bound)
    if proportion is None:
        raise ValueError(f"{op} is not the good direction of {sli.text}")
    return [block for block in proportion.counts(blocks(of_phase(history, span))) if block[1] > 0]


def _span(history: History, phase: str) -> PhaseSpan:
    span = history.phase(phase)
    if span is None:  # the preconditions admit only phases that were reached
        raise ValueError(f"{phase} was not reached")
    return span


def _change(measured: float, base: float) -> str:
    if base == 0:
        return f"{measured:.4g} instead of 0 in"
    return f"{(measured / base - 1.0) * 100:+.1f}% of"


def _compared(sli: SliName, base: float, bound: float, limit: Limit) -> str:
    return f"{sli.text} of {limit.of}: {stats.rounded(base):g}; bound: {stats.rounded(bound):g}"
