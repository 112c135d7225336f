"""How many arrivals a scenario asks for in each phase, and how many an objective needs to be worth anything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from harness.scenario.model import Scenario
from harness.scenario.shape import Piece, pieces_of
from harness.scenario.slis import SliName

MIN_SAMPLES = 30
BEYOND = 5  # samples that must lie beyond a percentile: p95 needs 100, p99 needs 500
_UNBOUNDED = 1e9  # arrivals of a load that nothing but the answers bounds
CONFIDENCE_N = 3.0  # rule of three: n arrivals without an error prove an error ratio below 3/n at 95 %

# Journeys whose requests an SLI is computed from; one that is missing here is computed from all of them. `score.sli` reads the same table.
STREAMS = frozenset({"ask_stream"})
ANSWERS = frozenset({"ask", "ask_stream", "follow_up"})
SEARCHES = ANSWERS | {"search"}  # a search finds documents and answers nothing
JOURNEYS_OF = {
    "ttft": STREAMS,
    "tpot": STREAMS,
    "itl": STREAMS,
    "max_gap": STREAMS,
    "complete": ANSWERS,
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
PROPORTIONS = frozenset({"availability", "complete", "answered", "degraded", "degraded_honest", "citations_valid"})
QUALITY = frozenset({"answered", "citations_valid", "mrr", "recall_at_k", "ndcg_at_k", "wrong_answers", "degraded", "degraded_honest"})


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


def pieces(scenario: Scenario) -> Iterator[Piece]:
    """The shape, also of one that does not fill the phases; the segment without `for` takes what the others leave."""
    given = sum(s.for_s for s in scenario.load.shape if s.for_s is not None)
    left = max(0.0, scenario.duration_s - given)
    start = 0.0
    for segment in scenario.load.shape:
        length = segment.for_s if segment.for_s is not None else left
        if length > 0:
            yield from pieces_of(segment, start, length, scenario.load.mix)
        start += length


def expected(scenario: Scenario, phase: str, journeys: frozenset[str] | None = None) -> float:
    """Expected arrivals of a phase; with `journeys`, of those alone. Raises TraceError for a trace that cannot be read.

    Of a closed load it is the most that there may be: what its users ask when every answer comes at once.
    """
    start = scenario.phase_start_s(phase)
    end = start + scenario.phases[phase]  # type: ignore[index]  # the caller asks for a phase that the scenario has
    return between(scenario, start, end, journeys)


def for_sli(scenario: Scenario, phase: str, sli: SliName, among: frozenset[str] | None = None) -> float:
    """Expected samples of an SLI in a phase, of those journeys alone."""
    return expected(scenario, phase, counted(sli, among))


def counted(sli: SliName, among: frozenset[str] | None = None) -> frozenset[str] | None:
    """Of those journeys (None: of all), the ones that an SLI is computed from; None for all."""
    journeys = JOURNEYS_OF.get(sli.family)
    return journeys if among is None else among if journeys is None else journeys & among


def between(scenario: Scenario, start_s: float, end_s: float, journeys: frozenset[str] | None = None) -> float:
    """Expected arrivals in a stretch of the run, in seconds from the start of the first phase."""
    if not scenario.load.shape:
        return _at_most(scenario, end_s - start_s, journeys)
    return sum((p.area_until(end_s) - p.area_until(start_s)) * _share(p.mix, journeys) for p in pieces(scenario))


def leanest(scenario: Scenario, phase: str, window_s: float, journeys: frozenset[str] | None = None) -> float:
    """Expected arrivals in that window of a phase which has fewest, looked for in steps of a hundredth of the phase."""
    start_s = scenario.phase_start_s(phase)
    room_s = max(0.0, scenario.phases[phase] - window_s)  # type: ignore[index]  # the caller asks for a phase that the scenario has
    starts = (start_s + room_s * n / 100.0 for n in range(101))
    return min(between(scenario, at_s, at_s + window_s, journeys) for at_s in starts)


def _share(mix: Mapping[str, float], journeys: frozenset[str] | None) -> float:
    if journeys is None:
        return 1.0
    return sum(weight for name, weight in mix.items() if name in journeys) / sum(mix.values())


def _at_most(scenario: Scenario, length_s: float, journeys: frozenset[str] | None) -> float:
    load = scenario.load
    if load.locustfile is not None or load.closed is None or not load.closed.think_time:
        return _UNBOUNDED
    return load.closed.users * length_s / load.closed.think_time * _share(load.mix, journeys)
