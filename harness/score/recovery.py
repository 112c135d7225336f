"""Recovery actions against the truth: right, wrong, needless, harmful; and escalations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.record.history import History
from harness.record.requests import Outcome
from harness.record.views import Action, Escalation, FaultTruth
from harness.score import sli as slis
from harness.score import stats
from harness.score.detection import radius
from harness.score.spans import GRACE_S, NS_PER_S, Span, of_claims

# These verbs work on whoever calls the broken service; all others must hit the broken service itself.
AT_CALLERS = frozenset({"switch_provider", "failover", "shed_load", "reset_pool", "clear_cache"})
HARM_WINDOW_S = 5.0
HARM_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class ActionScore:
    """All actions of a run. An action that was refused or failed counts as well: it was decided."""

    right: tuple[Action, ...]
    wrong: tuple[Action, ...]  # during a fault, but not a verb that heals it, or not where it would
    needless: tuple[Action, ...]  # without a fault, or during one that no verb heals
    harmful: tuple[Action, ...]  # availability fell after it; also one of the above


def judge_actions(history: History) -> ActionScore:
    """Every action in exactly one of right, wrong, needless; those about a fault of unknown effect in none."""
    right, wrong, needless = [], [], []
    for action in history.actions:
        about = [f for f in history.faults if not f.benign and in_window(history, f, action.t_ns)]
        if any(is_right(action, f) for f in about):
            right.append(action)
        elif any(f.recoverable_by for f in about):
            wrong.append(action)
        elif about or not any(_is_doubtful(action, f) for f in history.faults):
            needless.append(action)
    harmful = tuple(a for a in history.actions if _is_harmful(history, a))
    return ActionScore(tuple(right), tuple(wrong), tuple(needless), harmful)


def is_right(action: Action, fault: FaultTruth) -> bool:
    """Can this action heal this fault?"""
    if action.verb not in fault.recoverable_by:
        return False
    if action.verb in AT_CALLERS:
        return action.service in radius(fault) | set(fault.accepted)
    at_target = action.service == fault.service or action.service in fault.accepted
    hit = fault.instances or ((fault.instance,) if fault.instance is not None else ())
    return at_target and (action.instance is None or not hit or action.instance in hit)


def right_actions(history: History, fault: FaultTruth) -> Sequence[Action]:
    """Actions in the fault's window that can heal it, and were performed."""
    return [a for a in actions_for(history, fault) if a.status == "performed" and is_right(a, fault)]


def actions_for(history: History, fault: FaultTruth) -> Sequence[Action]:
    """Every action in the fault's window."""
    return [a for a in history.actions if in_window(history, fault, a.t_ns)]


def escalations_for(history: History, fault: FaultTruth) -> Sequence[Escalation]:
    """Escalations in the fault's window."""
    return [e for e in history.escalations if in_window(history, fault, e.t_ns)]


def in_window(history: History, fault: FaultTruth, t_ns: int) -> bool:
    """Is this time in [intended, healed + grace]?"""
    span = of_claims(history, fault)
    return span is not None and span.holds(t_ns)


def _is_doubtful(action: Action, fault: FaultTruth) -> bool:
    if fault.benign or fault.onset_ns is not None or fault.intended_ns is None or action.t_ns < fault.intended_ns:
        return False
    return fault.healed_ns is None or action.t_ns <= fault.healed_ns + round(GRACE_S * NS_PER_S)


def _is_harmful(history: History, action: Action) -> bool:
    """Is availability in the 5 s after the action worse than in the 5 s before, beyond chance (95 % intervals apart)?

    Not asked where a fault begins or is healed in that time, which would explain it as well.
    """
    if action.status != "performed" or action.done_ns is None:
        return False
    width_ns = round(HARM_WINDOW_S * NS_PER_S)
    before, after = Span(action.t_ns - width_ns, action.t_ns), Span(action.done_ns, action.done_ns + width_ns)
    turns = [t for f in history.faults for t in (f.intended_ns, f.injected_ns, f.heal_intended_ns, f.healed_ns) if t is not None]
    if any(before.start_ns <= t < after.end_ns for t in turns):
        return False
    sides = [_served(history, span) for span in (before, after)]
    if any(n < HARM_SAMPLES for _, n in sides):
        return False
    (before_low, _), (_, after_high) = (stats.share_interval(good, n) for good, n in sides)
    return after_high < before_low


def _served(history: History, span: Span) -> tuple[int, int]:
    served = history.between(span.start_ns, span.end_ns).through(slis.arrivals).gather(lambda rows: rows["outcome"] == Outcome.OK, np.bool_)
    return int(np.count_nonzero(served)), len(served)
