"""Answers to probes, each looked at in its time: before the first fault, after the last, or while something lasted.

A no is a no, whatever the reason: a refused connection is an answer of the system under test. What could not be asked (no such command, no
such metric) is unknown, and proves nothing either way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.scenario.model import Scenario
from harness.scenario.probes import Probe
from harness.score import sli as slis
from harness.score.check import Result, Status
from harness.score.preconditions import Preconditions, cut_off
from harness.score.spans import Span, active, of_phase, seconds

ASKED = 0.5  # share of the questions of a span that must have been asked
LISTED = 5  # lines of evidence


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """One result for each probe."""
    before = Preconditions(history, scenario)
    for probe in scenario.probes:
        limit = None if probe.once else probe.failures.text
        blank = Result(f"probe.{probe.id}", "probe", Status.INCONCLUSIVE, "", limit=limit, unit="number")
        answers = [e for e in history.of_kind(ev.PROBE) if e.data.get("id") == probe.id]
        yield _once(blank, probe, before, answers) if probe.once else _again(blank, probe, before, answers)


def _once(blank: Result, probe: Probe, before: Preconditions, answers: Sequence[Event]) -> Result:
    """The last answer counts: the ones before it were asked again."""
    history = before.history
    faults = [fault for fault in history.faults if fault.intended_ns is not None]
    if probe.mode == "before":
        border_ns = min((fault.intended_ns or 0 for fault in faults), default=history.end_ns + 1)
        answers = [answer for answer in answers if answer.t_ns < border_ns]
    else:
        healed = [fault.healed_ns for fault in faults]
        if not healed or None in healed:
            reason = "the faults were never all healed, so there is no after" if healed else "no fault was ever injected"
            return replace(blank, reason=reason)
        answers = [answer for answer in answers if answer.t_ns >= max(t_ns or 0 for t_ns in healed)]
    if not answers:
        return replace(blank, samples=0, reason=f"it was never asked {probe.mode} the faults")
    last = answers[-1]
    noes = float(sum(answer.data.get("ok") is False for answer in answers))
    found = replace(blank, samples=len(answers), value=noes, evidence=_told(history, answers))
    if last.data.get("ok") is None:
        return replace(found, reason=f"it could not be asked: {_detail(last)}")
    status, word = (Status.PASS, "yes") if last.data["ok"] else (Status.FAIL, "no")
    tries = f" at the {_ordinal(len(answers))} try" if len(answers) > 1 else ""
    return replace(found, status=status, reason=f"{word}{tries} {probe.mode} the faults: {_detail(last)}")


def _again(blank: Result, probe: Probe, before: Preconditions, answers: Sequence[Event]) -> Result:
    reason, span, what = _span(probe, before)
    if span is None:
        return replace(blank, reason=str(reason))
    held = [answer for answer in answers if span.holds(answer.t_ns)]
    expected = math.floor(span.length_s / max(probe.every, probe.timeout))
    noes, unknown = (sum(answer.data.get("ok") is word for answer in held) for word in (False, None))
    found = replace(blank, samples=len(held), value=float(noes), evidence=_told(before.history, held))
    if len(held) < max(1, ASKED * expected):
        return replace(found, reason=f"it was asked {len(held)} times {what}, and should have been at least {expected} times")
    told = f"{noes} of {len(held)} answers {what} were no"
    if not slis.keeps(probe.failures, noes):
        return replace(found, status=Status.FAIL, reason=f"{told}, {probe.failures.text} may be")
    if not slis.keeps(probe.failures, noes + unknown):
        return replace(found, reason=f"{told}, and {unknown} times it could not be asked")
    return replace(found, status=Status.PASS, reason=told)


def _span(probe: Probe, before: Preconditions) -> tuple[str | None, Span | None, str]:
    """When it counts, in words too; or why that is not known."""
    history = before.history
    if probe.mode == "on_fault":
        fault = history.fault(str(probe.fault))
        reason = before.fault(str(probe.fault))
        return (reason, None, "") if reason or fault is None else (None, active(fault, history), f"while {fault.id} was active")
    names = ["fault"] if probe.mode == "during" else list(before.scenario.phases)
    spans = [history.phase(name) for name in names]
    for name, span in zip(names, spans, strict=True):
        if span is None or span.end_ns is None:
            return (f"the run never reached {name}" if span is None else f"the record ends inside {name}"), None, ""
    if (reason := cut_off(history)) is not None:
        return reason, None, ""
    held = [of_phase(history, span) for span in spans if span is not None]
    what = "during the fault phase" if probe.mode == "during" else "throughout the run"
    return None, Span(min(s.start_ns for s in held), max(s.end_ns for s in held)), what


def _told(history: History, answers: Sequence[Event]) -> tuple[str, ...]:
    """When the answer was not yes, and what it was."""
    other = [answer for answer in answers if answer.data.get("ok") is not True]
    lines = [f"{seconds(history.start_ns, answer.t_ns):g}s: {_detail(answer)}" for answer in other[:LISTED]]
    return (*lines, f"and {len(other) - LISTED} more") if len(other) > LISTED else tuple(lines)


def _detail(answer: Event) -> str:
    return str(answer.data.get("detail") or "no detail recorded")


def _ordinal(n: int) -> str:
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10 if n % 100 not in (11, 12, 13) else 0, 'th') }"
