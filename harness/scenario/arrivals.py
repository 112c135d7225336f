"""How many arrivals a scenario asks for in each phase, and how many an objective needs to be worth anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.scenario.model import Scenario, Segment
from harness.scenario.slis import SliName

MIN_SAMPLES = 30
BEYOND = 5  # samples that must lie beyond a percentile: p95 needs 100, p99 needs 500
CONFIDENCE_N = 3.0  # rule of three: n arrivals without an error prove an error ratio below 3/n at 95 %

# Journeys whose requests an SLI is computed from; one that is missing here is computed from all of them. `score.sli` reads the same table.
STREAMS = frozenset({"ask_stream"})
ANSWERS = frozenset({"ask", "ask_stream", "follow_up"})
SEARCHES = ANSWERS | {"search"}  # a search finds documents and answers nothing
JOURNEYS_OF = {
    "ttft": STREAMS,
    "tpot": STREAMS,
    "max_gap": STREAMS,
    "answered": ANSWERS,
    "degraded": SEARCHES,
    "degraded_honest": ANSWERS,  # which path served it is told by the model that wrote it
    "citations_valid": ANSWERS,
    "mrr": SEARCHES,
    "recall_at_k": SEARCHES,
    "ndcg_at_k": SEARCHES,
    "wrong_answers": ANSWERS,
    "lost_ingest": frozenset({"ingest"}),
}
PROPORTIONS = frozenset({"availability", "answered", "degraded", "degraded_honest", "citations_valid"})
QUALITY = frozenset({"answered", "citations_valid", "mrr", "recall_at_k", "ndcg_at_k", "wrong_answers", "degraded", "degraded_honest"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment on the run's time axis, in seconds from the start of the first phase."""

    start_s: float
    end_s: float
    segment: Segment


def samples_needed(sli: SliName) -> int:
    """Fewest samples that carry the SLI: enough beyond a percentile, and never less than 30."""
    if sli.percentile and sli.argument is not None:
        return max(MIN_SAMPLES, math.ceil(round(BEYOND / (1.0 - sli.argument / 100.0), 6)))
    return MIN_SAMPLES


def arrivals_to_prove(ratio: float) -> float:
    """Arrivals without a single error that prove `ratio` at 95 % confidence; infinite for 100 %."""
    return round(CONFIDENCE_N / (1.0 - ratio), 6) if ratio < 1.0 else math.inf


def provable_ratio(arrivals: float) -> float:
    """The best ratio that so many arrivals can prove."""
    return max(0.0, 1.0 - CONFIDENCE_N / arrivals) if arrivals > 0 else 0.0


def stretches(scenario: Scenario) -> Iterator[Stretch]:
    """The segments one after another; the one without `for` takes what the others leave of the phases."""
    given = sum(s.for_s for s in scenario.load.shape if s.for_s is not None)
    left = max(0.0, scenario.duration_s - given)
    start = 0.0
    for segment in scenario.load.shape:
        end = start + (segment.for_s if segment.for_s is not None else left)
        yield Stretch(start, end, segment)
        start = end


def expected(scenario: Scenario, phase: str, journeys: frozenset[str] | None = None) -> float:
    """Expected arrivals of a phase; with `journeys`, of those alone."""
    start = scenario.phase_start_s(phase)
    end = start + scenario.phases[phase]  # type: ignore[index]  # the caller asks for a phase that the scenario has
    return sum(_overlap(s, start, end) * _share(s.segment, scenario, journeys) for s in stretches(scenario))


def for_sli(scenario: Scenario, phase: str, sli: SliName) -> float:
    """Expected samples of an SLI in a phase."""
    return expected(scenario, phase, JOURNEYS_OF.get(sli.family))


def _overlap(stretch: Stretch, start: float, end: float) -> float:
    low, high = max(start, stretch.start_s), min(end, stretch.end_s)
    if high <= low:
        return 0.0
    return _area(stretch.segment, stretch.end_s - stretch.start_s, high - stretch.start_s) - _area(
        stretch.segment, stretch.end_s - stretch.start_s, low - stretch.start_s
    )


def _area(segment: Segment, length_s: float, t_s: float) -> float:
    """Arrivals in the first `t_s` of a segment."""
    if segment.ramp is not None:
        slope = (segment.ramp.to - segment.ramp.from_) / length_s
        return segment.ramp.from_ * t_s + slope * t_s * t_s / 2.0
    if segment.spike is not None:
        peak_s = min(max(t_s - length_s / 3.0, 0.0), length_s / 3.0)
        return segment.spike.base * t_s + (segment.spike.peak - segment.spike.base) * peak_s
    return (segment.constant or segment.poisson or 0.0) * t_s


def _share(segment: Segment, scenario: Scenario, journeys: frozenset[str] | None) -> float:
    if journeys is None:
        return 1.0
    mix = segment.mix or scenario.load.mix
    return sum(weight for name, weight in mix.items() if name in journeys) / sum(mix.values())
