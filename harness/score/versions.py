"""From records to what is compared: two runs one after the other, or the two sides of one run that served both versions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.record.history import History
from harness.record.pieces import Requests
from harness.record.requests import BASE, CANDIDATE
from harness.scenario.comparison import Comparison, Metric
from harness.scenario.model import Scenario
from harness.scenario.slis import SliName, sli_name
from harness.score import comparable, compare
from harness.score import sli as slis
from harness.score.blockwise import MOST_BESIDE, MOST_BLOCKS
from harness.score.check import Result, Status
from harness.score.compare import Compared, Measured
from harness.score.context import Context
from harness.score.preconditions import Preconditions
from harness.score.sli import Observations
from harness.score.spans import Span, of_phase

GROUP = "compare"


@dataclass(frozen=True)
class Arm:
    """One version's record: a whole run, or one side of one."""

    history: History
    scenario: Scenario
    side: int | None = None

    def rows(self, phase: str) -> Requests:
        found = self.history.in_phase(phase)
        return found if self.side is None else found.through(lambda rows: rows[rows["side"] == self.side])

    def observe(self, phase: str, sli: SliName) -> Observations:
        return slis.observe(self.rows(phase), sli, Context.of(self.history))


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """The comparison of a run that served two versions; nothing for any other run."""
    return [c.result for c in interleaved(history, scenario)]


def interleaved(history: History, scenario: Scenario) -> tuple[Compared, ...]:
    """Both sides of one run."""
    asked = scenario.compare
    if asked is None or asked.candidate is None:
        return ()
    base, candidate = Arm(history, scenario, BASE), Arm(history, scenario, CANDIDATE)
    return _judged(base, candidate, asked, "compare", ())


def sequential(base: Arm, candidate: Arm, name: str = "compare") -> tuple[Compared, ...]:
    """Two runs. What is asked is the candidate's scenario; what makes them incomparable leaves every metric INCONCLUSIVE."""
    asked = candidate.scenario.compare or Comparison()
    obstacles = tuple(comparable.obstacles((base.history, base.scenario), (candidate.history, candidate.scenario)))
    return _judged(base, candidate, asked, name, obstacles)


def unfit(history: History, scenario: Scenario) -> str | None:
    """Why a run is nothing to compare with; None where it is."""
    if comparable.serves_two(scenario):
        return "a run that served two versions stands for neither of them"
    before = Preconditions(history, scenario)
    return next(
        (reason for phase in (scenario.compare or Comparison()).phases_of(scenario.phases) if (reason := before.phase(phase))), None
    )


def _judged(base: Arm, candidate: Arm, asked: Comparison, name: str, obstacles: tuple[str, ...]) -> tuple[Compared, ...]:
    refused: dict[str, str] = {}
    measured: list[Measured] = []
    for phase in asked.phases_of(candidate.scenario.phases):
        reason = _in_the_way(base, candidate, phase)
        blocks = None if reason else _blocks(base, candidate, asked, phase)
        for sli, metric in _applicable(base, candidate, asked, phase):
            one = _measured(f"{name}.{phase}.{sli.text}", base, candidate, phase, (sli, metric), blocks)
            measured.append(one)
            if reason or obstacles:
                refused[one.name] = "; ".join([*obstacles, *([reason] if reason else [])])
    judged = compare.judge(measured)
    found = tuple(_refused(c, refused[c.result.name]) if c.result.name in refused else c for c in judged)
    if any(m.asked.critical for m in measured):
        return found
    nothing = Result(f"{name}.nothing", GROUP, Status.INCONCLUSIVE, "nothing that decides has a reading on either side")
    return (*found, Compared(nothing))


def _refused(compared: Compared, reason: str) -> Compared:
    """The numbers stay, for people; nothing follows from them."""
    seen = (compared.result.reason,) if compared.effect is not None else ()
    result = replace(compared.result, status=Status.INCONCLUSIVE, reason=reason, evidence=(*compared.result.evidence, *seen))
    return replace(compared, result=result)


def _in_the_way(base: Arm, candidate: Arm, phase: str) -> str | None:
    for arm, which in ((base, "base"), (candidate, "candidate")):
        if reason := Preconditions(arm.history, arm.scenario).phase(phase):
            return reason if arm.side is not None else f"{which}: {reason}"
        if arm.side is not None and not len(arm.rows(phase)):
            return f"the {which} was sent no request in {phase}"
    return None


def _applicable(base: Arm, candidate: Arm, asked: Comparison, phase: str) -> Iterator[tuple[SliName, Metric]]:
    readings = {}
    for name, metric in asked.metrics.items():
        sli = sli_name(name)
        readings[name] = metric.must_have_data or any(len(arm.observe(phase, sli)) for arm in (base, candidate))
    return compare.applicable(asked.metrics, readings)


def _measured(
    name: str,
    base: Arm,
    candidate: Arm,
    phase: str,
    what: tuple[SliName, Metric],
    blocks: tuple[Sequence[Span], Sequence[Span]] | None,
) -> Measured:
    sli, metric = what
    return Measured(
        name,
        sli,
        metric,
        base.observe(phase, sli),
        candidate.observe(phase, sli),
        blocks or ((), ()),
        "sequential" if base.side is None else "interleaved",
        comparable.order(base.history, candidate.history),
    )


def _blocks(base: Arm, candidate: Arm, asked: Comparison, phase: str) -> tuple[Sequence[Span], Sequence[Span]]:
    spans = [of_phase(arm.history, span) for arm in (base, candidate) if (span := arm.history.phase(phase)) is not None]
    if base.side is None:
        count = min(len(compare.cut(span, MOST_BLOCKS)) for span in spans)
        return (compare.cut(spans[0], count), compare.cut(spans[1], count))
    found = _rounds(base.history.start_ns, spans[0], asked.block) if asked.split == "blocks" else compare.cut(spans[0], MOST_BESIDE)
    return (found, found)


def _rounds(start_ns: int, span: Span, block_s: float) -> Sequence[Span]:
    """Whole rounds of A B B A inside the span, counted from the start of the load; several to a block where there are many."""
    round_ns = round(4 * block_s * 1e9)
    first = math.ceil((span.start_ns - start_ns) / round_ns)
    last = (span.end_ns - start_ns) // round_ns
    each = max(1, math.ceil((last - first) / MOST_BESIDE))
    borders = [start_ns + round_ns * n for n in range(first, last + 1, each)]
    return [Span(a, b) for a, b in pairwise(borders)]
