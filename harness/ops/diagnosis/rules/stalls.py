"""An instance that stands still every now and then: nobody in it gets to a request, and a moment later it answers as ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.rounds import Look
from harness.ops.monitoring.symptoms import LATENCY_EFFECT_S, Symptom

RECENT_LOOKS = 6
STALLED_LOOKS = 3  # of those: one long collection, or a look at a bad moment, is nobody's fault
TIMES_OTHERS = 5.0  # the machine that all share slows every look down
UNEVEN_TIMES = 1.5  # the longest of them against the shortest: what is evenly slow has a far way, or much to do


@dataclass(slots=True)
class StallRules:
    """By how long it takes to look at an instance itself, beside others of its service that did not stall once.

    Those have the same machine and the same work, so neither is to blame; a caller sees a mean over all of them, and asks another one
    next. Where there is no other instance, every call meets the stall, and calls that queue up say so.
    """

    _took: dict[str, deque[tuple[float, bool]]] = field(default_factory=dict)  # by instance: seconds, and whether that was a stall

    def look(self, view: View) -> Iterator[Symptom]:
        looks = [look for look in view.round_.looks if look.endpoint.metrics is not None]
        if len(looks) < 3:  # there must be others to compare with
            return
        usual_s = median_low([look.duration_s for look in looks])
        for look in looks:
            recent = self._took.setdefault(look.endpoint.instance, deque(maxlen=RECENT_LOOKS))
            if _gone(look):
                recent.clear()
                continue
            recent.append((look.duration_s, look.duration_s > max(LATENCY_EFFECT_S, TIMES_OTHERS * usual_s)))
        for look in looks:
            recent = self._took[look.endpoint.instance]
            if _stalls(recent) and self._beside_is_well(look, looks):
                n, longest_s = sum(stalled for _, stalled in recent), max(s for s, _ in recent)
                evidence = (
                    f"{look.endpoint.instance} stood still at {n} of the last {len(recent)} looks, for up to {longest_s:.1f} s; "
                    f"others answer in {usual_s * 1e3:.0f} ms"
                )
                yield Symptom(
                    "InstanceStalls", look.endpoint.service, "pool", evidence, instance=look.endpoint.instance, directness=0.86, for_s=0.0
                )

    def _beside_is_well(self, look: Look, looks: Sequence[Look]) -> bool:
        others = [o.endpoint.instance for o in looks if o.endpoint.service == look.endpoint.service and o is not look]
        seen = [self._took[name] for name in others if self._took[name]]
        return bool(seen) and not any(stalled for recent in seen for _, stalled in recent)


def _gone(look: Look) -> bool:
    """Not there, or silent to everything: other rules are about that."""
    return look.error is not None and not (look.error == "timeout" and look.serving)


def _stalls(recent: Sequence[tuple[float, bool]]) -> bool:
    """Since the first stall, for what came before it says nothing about how even they are."""
    took_s = [seconds for seconds, _ in recent]
    first = next((n for n, (_, stalled) in enumerate(recent) if stalled), len(took_s))
    stalls = sum(stalled for _, stalled in recent)
    return stalls >= STALLED_LOOKS and max(took_s[first:]) > UNEVEN_TIMES * min(took_s[first:])
