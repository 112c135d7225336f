"""The telemetry itself: an instance that is well and says nothing, says the same for ever, or tells another time. Silence is not health."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import Streaks, View
from harness.ops.monitoring.rounds import Look
from harness.ops.monitoring.symptoms import Symptom

LOST_ROUNDS = 3
STALE_ROUNDS = 5
CALLED = 10.0  # calls in a window: with so many, each of some instances has got one
CLOCK_APART_S = 5.0  # dates of HTTP have whole seconds, and an answer may be late
CLOCK_ROUNDS = 2
_SAID_BY_THE_NODE = "container_"
_ALIVE = ("process_cpu_seconds_total",)


@dataclass(slots=True)
class TelemetryRules:
    """`Look.serving` tells an instance that does not answer at all from one whose metrics alone do not come."""

    _lost: Streaks = field(default_factory=Streaks)
    _same: Streaks = field(default_factory=Streaks)
    _apart: Streaks = field(default_factory=Streaks)
    _before: dict[str, int] = field(default_factory=dict)

    def look(self, view: View) -> Iterator[Symptom]:
        for look in view.round_.looks:
            service, instance = look.endpoint.service, look.endpoint.instance
            if self._lost.count(instance, look.error is not None and look.serving) >= LOST_ROUNDS:
                evidence = f"{instance} serves, and its metrics do not come: {look.error}"
                yield _symptom("MetricsLost", service, instance, "observability", evidence)
            busy = _calls(view, service) >= CALLED
            if self._same.count(instance, self._unchanged(look) and busy) >= STALE_ROUNDS:
                evidence = f"the metrics of {instance} have not changed in {STALE_ROUNDS} looks, and {service} is called all the time"
                yield _symptom("MetricsStale", service, instance, "observability", evidence)
            ahead_s = look.clock_ahead_s
            if self._apart.count(instance, ahead_s is not None and abs(ahead_s) > CLOCK_APART_S) >= CLOCK_ROUNDS:
                evidence = f"the clock of {instance} is {ahead_s:+.0f} s from ours, by the date of its answers"
                yield _symptom("ClockSkew", service, instance, "clock", evidence)

    def _unchanged(self, look: Look) -> bool:
        """Whoever works uses a processor, and counts that."""
        if look.error is not None or look.endpoint.metrics is None or not _tells_of_itself(look.samples):
            return False
        own = (s for s in look.samples if not s[0].startswith(_SAID_BY_THE_NODE))
        now = hash(tuple((name, tuple(sorted(labels.items())), value) for name, labels, value in own))
        before, self._before[look.endpoint.instance] = self._before.get(look.endpoint.instance), now
        return now == before


def _calls(view: View, service: str) -> float:
    """In the window: as its callers count them, or users where it is called by nobody else."""
    called = [signal.attempts for (_, callee), signal in view.signals.edges.items() if callee == service]
    return sum(called) if called else view.signals.client.requests


def _tells_of_itself(samples: Sequence[tuple[str, Mapping[str, str], float]]) -> bool:
    return any(name in _ALIVE for name, _, _ in samples)


def _symptom(name: str, service: str, instance: str, kind: str, evidence: str) -> Symptom:
    return Symptom(name, service, kind, evidence, instance=instance, directness=0.93, for_s=0.0)
