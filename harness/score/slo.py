"""Objectives of the phases.

A limit on a share or a percentile is decided by the measured value, once the sample can carry it: as many samples as would prove the
limit if none of them were bad (rule of three: 299 for 99 %, 59 for a p95). With fewer, a kept limit proves nothing and is INCONCLUSIVE,
and a broken one is FAIL only where chance is excluded (exact binomial test at 95 %).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.record import events as ev
from harness.record.history import History
from harness.record.pieces import Requests
from harness.scenario.indicator import Indicator
from harness.scenario.model import Scenario
from harness.scenario.objective import Objective
from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import comparable, logic, stats
from harness.score import sli as slis
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.preconditions import Preconditions
from harness.score.relative import Side, judge_relative
from harness.score.scopes import belonging
from harness.score.show import show
from harness.score.sli import Observations
from harness.score.spans import Span, of_phase, seconds
from harness.score.to_baseline import judge_to_baseline
from harness.score.windows import Stretch, judge_windows

MIN_SAMPLES = 30  # for what no sample size can prove (a limit of 100 %), and for means
LISTED = 10  # lines of evidence


@dataclass(frozen=True, slots=True)
class _Asked:
    """One objective of one phase, with all that its limits are judged on."""

    before: Preconditions
    context: Context
    phase: str
    of: Indicator

    @property
    def span(self) -> Span:
        return _span_of(self.before.history, self.phase)

    def rows(self, history: History, phase: str) -> Requests:
        """The requests of a phase that belong to the scope."""
        return belonging(history.in_phase(phase), self.of.scope, self.before.scenario, history.journeys)

    def reference(self, limit: Limit) -> tuple[str | None, Side | None]:
        """What a relative limit is relative to, or why there is nothing."""
        history, phase = self.before.history, "steady_state"
        if limit.of == "baseline":
            if history.baseline is None:
                return "there is no baseline run to compare with; name one with --baseline", None
            if reason := comparable.elsewhere(history.baseline, history):
                return f"the baseline run and this one: {reason}", None
            history, phase = history.baseline, self.phase
        reason = self.before.phase(phase) if limit.of == "steady_state" else Preconditions(history, self.before.scenario).phase(phase)
        if reason is not None:
            return f"of the baseline run: {reason}" if limit.of == "baseline" else reason, None
        return None, Side(self.rows(history, phase), _span_of(history, phase), Context.of(history))


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """Every objective of every phase, in the order of the file."""
    for phase in scenario.objectives:
        yield from of_phase_objectives(history, scenario, phase)


def _objective(asked: _Asked, objective: Objective) -> Result:
    """One objective of one phase."""
    sli = asked.of.sli
    blank = Result(f"{asked.phase}.{asked.of.text}", "objective", Status.INCONCLUSIVE, "", limit=objective.pass_.text, unit=sli.unit)
    reason = asked.before.phase(asked.phase)
    if reason is not None:
        return replace(blank, reason=reason)
    return logic.judge(objective, lambda limit: _one(asked, replace(blank, limit=limit.text), limit))


def _one(asked: _Asked, blank: Result, limit: Limit) -> Result:
    """One limit of an objective whose phase can be judged."""
    before, context, sli = asked.before, asked.context, asked.of.sli
    if sli.family == "lost_ingest":
        return _lost_ingest(blank, before.history, limit)
    rows = asked.rows(before.history, asked.phase)
    if sli.family == "goodput":
        return _goodput(blank, asked, rows, limit)
    if limit.of is not None:
        missing, reference = asked.reference(limit)
        if reference is None:
            return replace(blank, reason=str(missing))
        side = Side(rows, asked.span, context)
        if limit.of == "baseline" and before.history.baseline is not None:
            return judge_to_baseline(blank, side, reference, sli, limit, comparable.order(before.history.baseline, before.history))
        return judge_relative(blank, side, reference, sli, limit)
    observations = slis.observe(rows, sli, context)
    if sli.family == "wrong_answers":
        at_s = [seconds(before.history.start_ns, int(t_ns)) for t_ns in observations.t_ns[observations.values > 0]]
        return _wrong_answers(replace(blank, evidence=_dated("wrong answer", at_s)), observations, limit)
    if asked.of.window_s is not None and len(observations):
        stretch = Stretch(asked.span, asked.of.window_s, before.history.start_ns)
        return judge_windows(blank, observations, sli, limit, stretch, needed(sli, limit))
    return judge_absolute(blank, observations, sli, limit)


def _span_of(history: History, phase: str) -> Span:
    span = history.phase(phase)
    if span is None:  # the preconditions admit only phases that were reached
        raise ValueError(f"{phase} was not reached")
    return of_phase(history, span)


def judge_absolute(blank: Result, observations: Observations, sli: SliName, limit: Limit) -> Result:
    """A share or a percentile against a fixed limit."""
    measured = slis.value(observations, sli)
    if measured is None:
        return replace(blank, samples=0, reason=f"no request of this phase says anything about {sli.text}")
    ends = slis.interval(observations, sli)
    result = replace(
        blank,
        value=stats.rounded(measured),
        samples=len(observations),
        interval=(stats.rounded(ends[0]), stats.rounded(ends[1])) if ends else None,
    )
    kept = slis.keeps(limit, measured)
    enough = needed(sli, limit)
    if len(observations) >= enough:
        return replace(result, status=Status.PASS if kept else Status.FAIL, reason=_reason(result, kept))
    proportion = slis.proportion(observations, sli, limit.op, limit.value)
    if not kept and proportion is not None and stats.exceeds(*proportion.count(), proportion.allowed):
        return replace(result, status=Status.FAIL, reason=f"{_reason(result, kept)}; few samples, yet more bad ones than chance allows")
    return replace(result, reason=_too_few(sli, limit, len(observations), enough))


def needed(sli: SliName, limit: Limit) -> int:
    """Samples that carry the limit."""
    if sli.percentile:
        return max(MIN_SAMPLES, stats.samples_to_prove((sli.argument or 0.0) / 100.0))
    good_share = limit.value if sli.good == "higher" else 1.0 - limit.value
    return max(MIN_SAMPLES, stats.samples_to_prove(good_share))


def _reason(result: Result, kept: bool) -> str:
    return f"{show(result.value, result.unit)} {'keeps' if kept else 'breaks'} {result.limit}, {_extent(result)}"


def _extent(result: Result) -> str:
    if result.interval is None:
        return f"n={result.samples}"
    low, high = (show(end, result.unit) for end in result.interval)
    return f"n={result.samples}, 95% interval {low} to {high}"


def _too_few(sli: SliName, limit: Limit, n: int, needed: int) -> str:
    if sli.percentile:
        return f"{n} samples do not reach beyond {sli.text}; {needed} would"
    best = stats.bound_of_none(n)
    proved = f"at best {1.0 - best:.4g} above" if sli.good == "higher" else f"at best {best:.4g} below"
    return f"{n} samples cannot prove {limit.text} (without a bad one: {proved}); {needed} could"


def _wrong_answers(blank: Result, observations: Observations, limit: Limit) -> Result:
    n, count = len(observations), stats.total(observations.values)
    if n < MIN_SAMPLES and slis.keeps(limit, count):
        return replace(blank, value=count, samples=n, reason=f"only {n} answers can be compared with the truth; {MIN_SAMPLES} are needed")
    return _counted(replace(blank, samples=n), count, limit, f"wrong answers among {n}")


def _dated(what: str, at_s: Sequence[float]) -> tuple[str, ...]:
    """One line each, the first `LISTED` of them."""
    more = (f"and {len(at_s) - LISTED} more",) if len(at_s) > LISTED else ()
    return (*(f"{what} to the request of {t_s:g}s" for t_s in sorted(at_s)[:LISTED]), *more)


def _lost_ingest(blank: Result, history: History, limit: Limit) -> Result:
    finished = [e.data for e in history.of_kind(ev.LOAD) if e.data.get("state") == "finished"]
    accepted = int(finished[-1].get("ingest_accepted", 0)) if finished else 0
    if not accepted:
        return replace(blank, samples=0, reason="no document was accepted, so none could be lost")
    missing = accepted - int(finished[-1].get("ingest_indexed", 0))
    unanswered = int(finished[-1].get("ingest_unanswered", 0))
    names = tuple(str(name) for name in finished[-1].get("ingest_missing", ()))
    lost = missing - unanswered
    if unanswered and slis.keeps(limit, lost) and not slis.keeps(limit, missing):
        reason = f"{unanswered} of {accepted} accepted documents could not be asked for, so {lost} to {missing} are lost"
        return replace(blank, value=lost, samples=accepted, evidence=names, reason=reason)
    return _counted(replace(blank, samples=accepted, evidence=names), lost, limit, f"of {accepted} accepted documents lost")


def _counted(blank: Result, count: float, limit: Limit, what: str) -> Result:
    kept = slis.keeps(limit, count)
    bound = f"; 0 of {blank.samples} bounds the share by {stats.bound_of_none(blank.samples or 0):.2g} at 95%" if count == 0 else ""
    return replace(blank, status=Status.PASS if kept else Status.FAIL, value=stats.rounded(count), reason=f"{count:g} {what}{bound}")


def _goodput(blank: Result, asked: _Asked, rows: Requests, limit: Limit) -> Result:
    measured = slis.goodput(rows, list(asked.before.scenario.limits(asked.phase)), asked.context, asked.span)
    kept = slis.keeps(limit, measured)
    result = replace(blank, value=stats.rounded(measured), samples=len(rows))
    if len(rows) < MIN_SAMPLES:
        return replace(result, reason=f"only {len(rows)} requests; {MIN_SAMPLES} are needed")
    return replace(result, status=Status.PASS if kept else Status.FAIL, reason=_reason(result, kept))


def of_phase_objectives(history: History, scenario: Scenario, phase: str, live: bool = False) -> tuple[Result, ...]:
    """The objectives of one phase, judged once: those of steady_state are asked for twice. With `live`, of a run that still goes on."""
    return history.once(("objectives", phase, live), lambda: tuple(_objectives(history, scenario, phase, live)), of=scenario)


def _objectives(history: History, scenario: Scenario, phase: str, live: bool) -> Iterator[Result]:
    before, context = Preconditions(history, scenario, live), Context.of(history)
    for of, objective in scenario.asked(phase):
        yield _objective(_Asked(before, context, phase, of), objective)
