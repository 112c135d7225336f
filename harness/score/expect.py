"""What the scenario expects of the operator and of the outcome, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from harness.record.history import History
from harness.record.views import Action, FaultTruth
from harness.scenario.model import Expect, RootCause, Scenario
from harness.scenario.units import Limit
from harness.score import detection, diagnosis, recovery, stats
from harness.score import sli as slis
from harness.score.check import Result, Status
from harness.score.detection import DetectionScore, Episode, detect
from harness.score.outcome import FaultOutcome, outcome
from harness.score.preconditions import Preconditions
from harness.score.recovery import ActionScore, judge_actions
from harness.score.spans import after_onset, seconds

_NAMED = "alerts."
_OF_A_CALM_MACHINE = {"false_alarms", "needless_actions"}  # that nothing was wrong is what they rest on


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """Every expectation, in the order of the file."""
    context = _Context(history, scenario)
    for entry in scenario.expect:
        for name in fields(entry):
            yield _run_wide(context, entry, name) if entry.fault is None else _of_fault(context, entry, entry.fault, name)


def fields(entry: Expect) -> Iterator[str]:
    """What the entry asks for, as in the names of its checks: `expect.<fault or run>.<field>`. An alert by name is a field of its own."""
    for name, value in entry:
        if name == "alerts":
            yield from (f"{_NAMED}{alert}" for alert in value or ())
        elif name not in ("fault", "callers") and value is not None:  # callers are judged by their provider's journal
            yield name


@dataclass(frozen=True)
class _Context:
    history: History
    scenario: Scenario

    @cached_property
    def before(self) -> Preconditions:
        return Preconditions(self.history, self.scenario)

    @cached_property
    def detection(self) -> DetectionScore:
        return detect(self.history)

    @cached_property
    def actions(self) -> ActionScore:
        return judge_actions(self.history)

    @cached_property
    def _outcomes(self) -> dict[str, FaultOutcome]:
        return {}

    def outcome(self, fault: FaultTruth) -> FaultOutcome:
        return self._outcomes.setdefault(fault.id, outcome(self.history, self.scenario, fault))


def _of_fault(context: _Context, entry: Expect, fault_id: str, field: str) -> Result:
    blank = Result(f"expect.{fault_id}.{field}", "expect", Status.INCONCLUSIVE, "")
    fault = context.history.fault(fault_id)
    reason = context.before.fault(fault_id)
    if reason is None and fault is not None and field not in ("outcome", "within"):
        reason = context.before.operator_for(fault)
    if reason is not None or fault is None:
        return replace(blank, reason=reason or f"fault {fault_id} was never injected")
    if field.startswith(_NAMED):
        return _named_alert(context, entry, fault, blank, field.removeprefix(_NAMED))
    return _CHECKS[field](context, entry, fault, blank)


def _alert(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    limit = _given(entry.alert)
    blank = replace(blank, limit=limit.text, unit="s", samples=1)
    found = context.detection.of(fault.id)
    if found is None:
        return replace(blank, reason=f"fault {fault.id} is a benign change: no alert can be right")
    if found.delay_s is None or found.episode is None:
        return replace(blank, status=Status.FAIL, reason=f"missed: no alert on a service of the blast radius within {found.window_s:g}s")
    kept = slis.keeps(limit, found.delay_s)
    what = f"{found.episode.name or 'alert'} on {found.episode.service} {found.delay_s:g}s after onset"
    extra = f", {found.duplicates} duplicates" if found.duplicates else ""
    return replace(blank, status=_status(kept), value=found.delay_s, reason=what + extra)


def _named_alert(context: _Context, entry: Expect, fault: FaultTruth, blank: Result, name: str) -> Result:
    """Whatever else was told of the fault: did this alert come, and when?"""
    limit = _given((entry.alerts or {}).get(name))
    blank = replace(blank, limit=limit.text, unit="s", samples=1)
    if fault.benign:
        return replace(blank, reason=f"fault {fault.id} is a benign change: no alert can be right")
    told = detection.about(context.history, fault)
    found = next((e for e in told if e.name == name), None)
    if found is None:
        others = ", ".join(dict.fromkeys(e.name or "alert" for e in told)) or "no other either"
        return replace(blank, status=Status.FAIL, reason=f"no alert {name} on a service of the blast radius; {others}")
    delay_s = after_onset(fault.onset_ns or 0, found.start_ns)
    return replace(blank, status=_status(slis.keeps(limit, delay_s)), value=delay_s, reason=f"on {found.service} {delay_s:g}s after onset")


def _root_cause(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    expected = entry.root_cause
    if not isinstance(expected, RootCause):
        return _no_root_cause(context, fault, blank)
    name = expected.service or expected.edge or expected.host or ""
    # What the fault itself accepts counts as well, unless the scenario names something else than the truth.
    names = diagnosis.right_names(fault) | {name} if name in diagnosis.right_names(fault) | {fault.service} else frozenset({name})
    score = diagnosis.diagnose(context.history, fault, names, expected.kind)
    if score is None:  # `_of_fault` admits only faults with an onset
        raise ValueError(f"fault {fault.id} has no onset")
    blank = replace(blank, limit=f"{name} / {expected.kind}", samples=1)
    if score.abstained:
        when = "no diagnosis was in force" if score.at_s is None else "the diagnosis named nothing"
        return replace(blank, status=Status.FAIL, reason=f"{when} at the first action or {diagnosis.DUE_S:g}s after onset")
    first = score.causes[0]
    right = score.ac_1 >= 1.0 and score.kind_right
    told = f"{first.service} / {first.kind}"
    why = f"named first {score.at_s:g}s after onset"
    if 0.0 < score.ac_1 < 1.0:
        why += ", tied with another service at the same confidence"
    elif score.victim_blamed:
        why += ": a service that only suffers from the fault"
    listed = tuple(f"{c.service} / {c.kind} ({c.confidence:g})" for c in score.causes)
    if right and expected.within is not None:
        at_s = diagnosis.first_right_s(context.history, fault, names, expected.kind)
        right = at_s is not None and slis.keeps(_given(expected.within), at_s)
        why += f", right first {at_s:g}s after onset (within {expected.within.text})"
    return replace(blank, status=_status(right), value=told, reason=why, evidence=listed)


def _no_root_cause(context: _Context, fault: FaultTruth, blank: Result) -> Result:
    claimed = diagnosis.claimed_causes(context.history, fault)
    blank = replace(blank, limit="none", samples=1)
    if not claimed:
        reason = context.before.operator_throughout()
        return replace(blank, status=_status(reason is None, otherwise=Status.INCONCLUSIVE), reason=reason or "nothing was blamed")
    first = claimed[0].causes[0]
    return replace(blank, status=Status.FAIL, value=f"{first.service} / {first.kind}", reason="a cause was named where there is none")


def _outcome(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    wanted = [entry.outcome] if isinstance(entry.outcome, str) else list(entry.outcome or [])
    found = context.outcome(fault)
    blank = replace(blank, limit=" or ".join(wanted), samples=1, value=found.word, reason=found.reason)
    return blank if found.word is None else _unless_unattended(context, entry, fault, replace(blank, status=_status(found.word in wanted)))


def _within(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    limit = _given(entry.within)
    found = context.outcome(fault)
    blank = replace(blank, limit=limit.text, unit="s", samples=1, value=found.regained_s, reason=found.reason)
    if found.word is None:
        return blank
    kept = found.regained_s is not None and slis.keeps(limit, found.regained_s)
    return _unless_unattended(context, entry, fault, replace(blank, status=_status(kept)))


def _unless_unattended(context: _Context, entry: Expect, fault: FaultTruth, result: Result) -> Result:
    """A failure to recover says nothing where nobody was on call to begin with; unless the scenario meant it so (the no-recovery arm)."""
    wanted = [entry.outcome] if isinstance(entry.outcome, str) else list(entry.outcome or ["recovered"])
    meant = not context.scenario.operator.enabled and "recovered" not in wanted
    reason = context.before.operator_for(fault)
    if result.status is Status.PASS or reason is None or meant:
        return result
    return replace(result, status=Status.INCONCLUSIVE, reason=f"{result.reason}, but {reason}")


def _escalated(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    told = recovery.escalations_for(context.history, fault)
    wanted = bool(entry.escalated)
    blank = replace(blank, limit="yes" if wanted else "no", value="yes" if told else "no", samples=len(told))
    if not told:
        silent = None if wanted else context.before.operator_throughout()
        return replace(blank, status=Status.INCONCLUSIVE if silent else _status(not wanted), reason=silent or "nobody was called")
    after_s, why = after_onset(fault.onset_ns or 0, told[0].t_ns), told[0].reason or "no reason given"
    return replace(blank, status=_status(wanted), reason=f"a person was called {after_s:g}s after onset: {why}")


def _action(context: _Context, entry: Expect, fault: FaultTruth, blank: Result) -> Result:
    wanted = [entry.action] if isinstance(entry.action, str) else list(entry.action or [])
    taken = recovery.actions_for(context.history, fault)
    used = list(dict.fromkeys(a.verb for a in taken))
    blank = replace(blank, limit=" or ".join(wanted), value=", ".join(used) or "none", samples=len(taken), evidence=_told(taken))
    if not taken:
        silent = context.before.operator_throughout() if "none" in wanted else None
        kept = "none" in wanted
        return replace(blank, status=Status.INCONCLUSIVE if silent else _status(kept), reason=silent or "no action was taken")
    meant = [a for a in taken if a.verb in wanted]
    # A verb that heals the fault must also be used where it does.
    placed = [a for a in meant if a.verb not in fault.recoverable_by or recovery.is_right(a, fault)]
    if any(a.status == "performed" for a in placed):
        return replace(blank, status=Status.PASS, reason=f"{len(taken)} of any kind in the fault's window")
    if placed:
        return replace(blank, reason=f"{placed[0].verb} was asked for, but it is not recorded that it was performed ({placed[0].status})")
    why = f"{meant[0].verb} at {meant[0].instance or meant[0].service}, where it does not help" if meant else "another action was taken"
    return replace(blank, status=Status.FAIL, reason=why)


_CHECKS: dict[str, Callable[[_Context, Expect, FaultTruth, Result], Result]] = {
    "alert": _alert,
    "root_cause": _root_cause,
    "outcome": _outcome,
    "within": _within,
    "escalated": _escalated,
    "action": _action,
}


def _run_wide(context: _Context, entry: Expect, field: str) -> Result:
    limit = _given(getattr(entry, field))
    found = _counted(context, field)
    count = len(found)
    blank = Result(
        f"expect.run.{field}",
        "expect",
        Status.INCONCLUSIVE,
        "",
        value=count,
        limit=limit.text,
        unit="number",
        evidence=tuple(text for _, text in found),
    )
    if not slis.keeps(limit, count):  # more evidence could only add to it
        told = f"{count} {field.replace('_', ' ')}"
        excused = [reason for t_ns, _ in found if field in _OF_A_CALM_MACHINE and (reason := _starved(context, t_ns)) is not None]
        if slis.keeps(limit, count - len(excused)):
            return replace(
                blank, reason=f"{told}, {len(excused)} of them while the machine was too busy for them to be called so: {excused[0]}"
            )
        return replace(blank, status=Status.FAIL, reason=told)
    reason = context.before.operator_throughout()
    if reason is not None:
        return replace(blank, reason=reason)
    return replace(blank, status=Status.PASS, reason=_quiet(context, field, count))


def _counted(context: _Context, field: str) -> list[tuple[int, str]]:
    """When each thing that the field counts was, and one line about it."""
    if field == "false_alarms":
        return [(episode.start_ns, _named(episode, context.history)) for episode in context.detection.false_alarms]
    actions: dict[str, tuple[Action, ...]] = {
        "needless_actions": context.actions.needless,
        "wrong_actions": context.actions.wrong,
        "harmful_actions": context.actions.harmful,
    }
    return list(zip((a.t_ns for a in actions[field]), _told(actions[field]), strict=True))


def _starved(context: _Context, t_ns: int) -> str | None:
    """What was short there for the generator was short for the services, too: what they suffered was real, if injected by nobody."""
    begun = [phase.name for phase in context.history.phases if phase.start_ns <= t_ns]
    return context.before.generator(begun[-1]) if begun else None


def _quiet(context: _Context, field: str, count: int) -> str:
    what = f"{count} {field.replace('_', ' ')}"
    bound = context.detection.false_alarms_per_hour_bound
    if field != "false_alarms" or bound is None:
        return what
    watched_s = context.detection.fault_free_s
    return f"{what} in {watched_s:.0f}s without a fault, which bounds the rate by {stats.rounded(bound):.3g} an hour at 95%"


def _named(e: Episode, history: History) -> str:
    return f"{e.name or 'alert'} on {e.service or 'no service'} at {seconds(history.start_ns, e.start_ns):g}s"


def _told(actions: Iterable[Action]) -> tuple[str, ...]:
    return tuple(f"{a.verb} {a.instance or a.service}: {a.status}" for a in actions)


def _given(limit: Limit | None) -> Limit:
    if limit is None:
        raise ValueError("asked for an expectation that the scenario does not hold")
    return limit


def _status(kept: bool, otherwise: Status = Status.FAIL) -> Status:
    return Status.PASS if kept else otherwise
