"""Operators with known scores, as scripts: each is a pure function of the faults that it should be told about by its monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from mocks.operators.script import Step, action, alert, diagnosis, escalation

ALERT_S = 1.0  # after onset; all delays of the perfect operator
DIAGNOSIS_S = 1.5
ACTION_S = 2.0


@dataclass(frozen=True, slots=True)
class KnownFault:
    """The truth about one fault, in seconds since the start of the operator. Without `verb`, no action heals it."""

    service: str
    kind: str
    onset_s: float
    healed_s: float
    verb: str | None = None


def perfect(faults: Sequence[KnownFault]) -> tuple[Step, ...]:
    """Recall 1, precision 1, the right cause first, the right action and no other; escalates what no action heals."""
    return tuple(step for fault in faults for step in _well_handled(fault))


def silent(_faults: Sequence[KnownFault]) -> tuple[Step, ...]:
    """Recall 0, no false alarm, no action."""
    return ()


def noisy(faults: Sequence[KnownFault], bystander: str, times_s: Sequence[float]) -> tuple[Step, ...]:
    """Perfect, and at each of `times_s` a false alarm on a service that has nothing: precision faults / (faults + times)."""
    cries = (step for t in times_s for step in (alert(t, bystander), alert(t + 1.0, bystander, "resolved")))
    return (*perfect(faults), *cries)


def random(faults: Sequence[KnownFault], services: Sequence[str], generator: Random) -> tuple[Step, ...]:
    """Finds every fault, and guesses where it is: AC@k = min(k, n) / n of n services, on average."""
    steps: list[Step] = []
    for fault in faults:
        guesses = generator.sample(list(services), k=min(3, len(services)))
        ranked = ((service, fault.kind, 0.9 - 0.2 * rank) for rank, service in enumerate(guesses))
        steps += [alert(fault.onset_s + ALERT_S, fault.service), diagnosis(fault.onset_s + DIAGNOSIS_S, *ranked)]
    return tuple(steps)


def late(faults: Sequence[KnownFault], delay_s: float) -> tuple[Step, ...]:
    """Perfect, `delay_s` later."""
    return tuple(replace(step, at_s=step.at_s + delay_s) for step in perfect(faults))


def wrong_action(faults: Sequence[KnownFault], verb: str, service: str) -> tuple[Step, ...]:
    """Perfect, but the action is another one on another service: it heals nothing."""
    steps = (step for step in perfect(faults) if step.claim not in ("action", "escalation"))
    return (*steps, *(action(fault.onset_s + ACTION_S, verb, service) for fault in faults))


def _well_handled(fault: KnownFault) -> tuple[Step, ...]:
    act_s = fault.onset_s + ACTION_S
    return (
        alert(fault.onset_s + ALERT_S, fault.service),
        diagnosis(fault.onset_s + DIAGNOSIS_S, (fault.service, fault.kind, 0.9)),
        action(act_s, fault.verb, fault.service) if fault.verb else escalation(act_s, fault.service),
        alert(fault.healed_s + ALERT_S, fault.service, "resolved"),
    )
