"""Is it everybody who is slow? Then it is the machine that all share, who looks among them, and no service is blamed for it.

And who is silent to looks, but answers its callers, does not hang.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.baseline import Baseline
from harness.ops.monitoring.symptoms import Symptom

LOOKS = 4  # fewer are not everybody
TIMES_USUAL = 4.0
EFFECT_S = 0.05
ANSWERS = 3.0


@dataclass(slots=True)
class CommonSlowness:
    """By how long looks take, which need next to nothing of their own: the median over all instances, against what is usual."""

    _usual: Baseline = field(default_factory=lambda: Baseline(floor=0.005))

    def withhold(self, view: View, symptoms: Sequence[Symptom]) -> list[Symptom]:
        """Without vague slowness, while most instances are slow to be looked at. What users feel, and facts, are told in any case."""
        took_s = [look.duration_s for look in view.round_.looks if look.error is None]
        if len(took_s) < LOOKS or not self._common(median_low(took_s)):
            return list(symptoms)
        return [s for s in symptoms if s.kind != "latency" or s.directness is not None or s.name == "UserLatencyHigh"]

    def _common(self, took_s: float) -> bool:
        usual = self._usual
        if usual.ready and took_s > TIMES_USUAL * usual.median and took_s - usual.median > EFFECT_S:
            return True
        usual.learn(took_s)
        return False


@dataclass(slots=True)
class StillAnswering:
    """By what its callers, or users, got from it since the first of the looks that failed. A restart would take that away from them."""

    _looked_s: deque[float] = field(default_factory=lambda: deque(maxlen=3))

    def withhold(self, view: View, symptoms: Sequence[Symptom]) -> list[Symptom]:
        """Without the silence of single instances whose service goes on answering: of several, nobody knows which one it was."""
        self._looked_s.append(view.t_s)
        instances = Counter(look.endpoint.service for look in view.round_.looks)
        single = {service for service, n in instances.items() if n == 1}
        return [s for s in symptoms if not (_hangs(s) and s.service in single and self._answers(view, s))]

    def _answers(self, view: View, silent: Symptom) -> bool:
        over_s = view.t_s - self._looked_s[0]
        calls = view.windows.increases("rag_client_requests_total", view.t_s, over_s)
        got = [grown for key, grown in calls if key.label("callee") == silent.service and key.label("outcome") == "ok"]
        if not got:
            users = view.windows.increases("client_requests_total", view.t_s, over_s)
            got = [grown for key, grown in users if key.label("outcome") == "ok"]
        return sum(got) >= ANSWERS


def _hangs(symptom: Symptom) -> bool:
    return symptom.name == "InstanceDown" and symptom.kind == "hang"
