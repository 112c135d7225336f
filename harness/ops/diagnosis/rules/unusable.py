"""Answers that come, count as answered, and are of no use: the caller asks the next provider all the same."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.symptoms import MIN_EVENTS, Symptom

ASKED_AGAIN_SHARE = 0.5  # of the calls that the first one answered
SAID_S = 20.0  # what others said of a provider's answers that long ago is the same trouble
RECENT_ROUNDS = 6
BOTH_ROUNDS = 4  # of those, in which both are asked: while one is left for the other, that is so in one or two


@dataclass(slots=True)
class UnusableRules:
    """By the calls of one instance to one provider and to the next. Too few vectors, or another encoding: only the caller sees that.

    Who counts attempts by how they ended says himself what came of them, and is left to the rules on providers.
    """

    providers: tuple[str, ...]
    _first: dict[str, str] = field(default_factory=dict)  # by calling instance: the last provider that it asked alone
    _looked_s: float = 0.0
    _rounds: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)  # answered by the first, asked of others

    def look(self, view: View) -> Iterator[Symptom]:
        since_s, self._looked_s = view.t_s - self._looked_s, view.t_s
        tell, failing = set(), set()
        for key, grown in view.windows.increases("rag_llm_requests_total", view.t_s, SAID_S / view.time_scale):
            tell.add(key.instance)
            failing |= {key.label("provider")} if grown > 0 and key.label("outcome") != "ok" else set()
        asked: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        failed: set[tuple[str, str]] = set()
        for key, grown in view.windows.increases("rag_client_requests_total", view.t_s, since_s):
            if key.label("callee") in self.providers and key.instance not in tell and grown > 0:
                asked[key.service, key.instance][key.label("callee")] += grown
                fails = key.label("outcome") != "ok" or key.label("callee") in failing
                failed |= {(key.service, key.instance)} if fails else set()
        for who, counts in asked.items():
            yield from self._of_instance(*who, counts, failed=who in failed)

    def _of_instance(self, caller: str, instance: str, counts: Mapping[str, float], *, failed: bool) -> Iterator[Symptom]:
        recent = self._rounds.setdefault(instance, deque(maxlen=RECENT_ROUNDS))
        first = self._first.get(instance)
        if len(counts) == 1:
            self._first[instance] = next(iter(counts))
        if failed or first is None or first not in counts:
            recent.clear()
            return
        recent.append((counts[first], sum(counts.values()) - counts[first]))
        answered, again = (sum(column) for column in zip(*recent, strict=True))
        both = sum(others > 0 for _, others in recent)
        if both >= BOTH_ROUNDS and answered >= MIN_EVENTS and again >= ASKED_AGAIN_SHARE * answered:
            evidence = f"{first} answered {answered:.0f} calls of {caller}, which asked another provider {again:.0f} times all the same"
            yield Symptom("AnswersUnusable", first, "data", evidence, directness=0.84, for_s=0.0)
