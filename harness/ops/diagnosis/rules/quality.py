"""Answers that come in time and are wrong: by canaries, and by what users say of the answers they got."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.canaries import FACT, SOURCE
from harness.ops.monitoring.rounds import CanaryAnswer
from harness.ops.monitoring.symptoms import Symptom

LEARNT_FROM = 3  # answers of a kind, before another one can be strange
IN_A_ROW = 2
LONGEST_S = 12.0  # a canary that is not answered says nothing for ever
NORM_TIMES = 1.5
COSINE_LOST = 0.25
SAME_FIRST = 0.5  # share of the first five results that must be known
FIRST = 5
MIN_ANSWERS = 12
WRONG_SHARE = 0.12
REFUSED_MORE = 0.3
UNCHANGED = 0.8  # share of the first results of a search that are those known: the index is as it was
BY_CHANCE = 0.1  # share of bad answers that a small sample may show above the share of hits

Values = Sequence[float]


@dataclass(frozen=True, slots=True)
class _Bad:
    """Wrong answers of one instance, so many in a row, the latest at `t_s`."""

    row: int
    t_s: float
    asked: str
    blamed: str
    reason: str


@dataclass(slots=True)
class CanaryRules:
    """Each answer against those before it that were good. A judgement is a reason, or None for a good answer."""

    stores: tuple[str, ...]  # the services that hold what is searched
    providers: tuple[str, ...]
    _vectors: list[Values] = field(default_factory=list)
    _cosines: list[float] = field(default_factory=list)
    _found: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _unchanged: dict[int, bool] = field(default_factory=dict)  # by question of the search
    _answers: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # by provider
    _bad: dict[tuple[str, str], _Bad] = field(default_factory=dict)  # by canary and instance
    _good_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def good_lately(self, canary: str, view: View) -> bool:
        """Were the latest answers to it as they should be, and young?"""
        return bool(self._good(canary, view)) and not self._wrong(canary, view)

    def index_as_before(self, view: View) -> bool:
        """Do searches that no cache can answer find what they found before?"""
        return self.good_lately("search", view) and all(self._unchanged.values())

    def mixed(self, canary: str, view: View) -> bool:
        """Does one instance answer it as it should, and another not?"""
        return bool(self._good(canary, view)) and bool(self._wrong(canary, view))

    def look(self, view: View) -> Iterator[Symptom]:
        for answer in view.round_.canaries:
            if answer.body is not None:
                self._judge(view.t_s, answer, answer.body)
        for canary in ("embedding", "search", "generation"):
            wrong = self._wrong(canary, view)
            kind = "quality" if canary == "generation" else "data"
            if not self._good(canary, view) and sum(bad.row for bad in wrong.values()) >= IN_A_ROW:
                latest = max(wrong.values(), key=lambda bad: bad.t_s)
                yield Symptom("CanaryWrong", latest.blamed, kind, latest.reason, directness=0.86, for_s=0.0)
            elif self._good(canary, view):  # what lies beneath serves the other instance well
                for instance, bad in wrong.items():
                    if bad.row >= IN_A_ROW:
                        evidence = f"{instance} alone: {bad.reason}"
                        yield Symptom("CanaryWrong", bad.asked, kind, evidence, instance=instance, directness=0.88, for_s=0.0)

    def _wrong(self, canary: str, view: View) -> dict[str, _Bad]:
        """Instances whose latest answer was wrong, and young."""
        young_s = view.t_s - LONGEST_S / view.time_scale
        return {instance: bad for (of, instance), bad in self._bad.items() if of == canary and bad.t_s > young_s}

    def _good(self, canary: str, view: View) -> list[str]:
        young_s = view.t_s - LONGEST_S / view.time_scale
        return [
            instance for (of, instance), t_s in self._good_s.items() if of == canary and t_s > young_s and (of, instance) not in self._bad
        ]

    def _judge(self, t_s: float, answer: CanaryAnswer, body: Mapping[str, Any]) -> None:
        key = (answer.canary, answer.instance)
        blamed, reason = _JUDGES[answer.canary](self, answer, body)
        if reason is None:
            self._bad.pop(key, None)
            self._good_s[key] = t_s
        else:
            before = self._bad.get(key)
            self._bad[key] = _Bad((before.row if before else 0) + 1, t_s, answer.service, blamed, reason)

    def _embedding(self, answer: CanaryAnswer, body: Mapping[str, Any]) -> tuple[str, str | None]:
        vectors = body.get("embeddings") or []
        blamed = self.providers[0] if self.providers else answer.service
        if not self._vectors:
            self._vectors = list(vectors)
            return blamed, None
        if len(vectors) != len(self._vectors) or any(len(v) != len(k) for v, k in zip(vectors, self._vectors, strict=True)):
            return blamed, f"embeddings have {len(vectors[0]) if vectors else 0} numbers, before {len(self._vectors[0])}"
        norms = [math.hypot(*v) for v in vectors]
        usual = math.hypot(*self._vectors[0])
        if not all(usual / NORM_TIMES < n < usual * NORM_TIMES for n in norms):
            return blamed, f"embeddings have a norm of {min(norms):.3g}, before {usual:.3g}"
        cosine = min(_cosine(v, k) for v, k in zip(vectors, self._vectors, strict=True))
        if len(self._cosines) >= LEARNT_FROM and cosine < min(self._cosines) - COSINE_LOST:
            return blamed, f"embeddings of like texts agree by {cosine:.2f}, before by {min(self._cosines):.2f}"
        self._cosines = [*self._cosines[-20:], cosine]
        return blamed, None

    def _search(self, answer: CanaryAnswer, body: Mapping[str, Any]) -> tuple[str, str | None]:
        blamed = self.stores[0] if self.stores else answer.service
        if body.get("degraded"):
            return blamed, None  # it says itself that this is not its usual answer
        found = tuple(str(s.get("doc_id")) for s in (body.get("sources") or [])[:FIRST])
        known = self._found.get(answer.question)
        if known:
            kept = len(set(found) & set(known)) / len(set(known))
            self._unchanged[answer.question] = kept >= UNCHANGED
            if kept <= SAME_FIRST:
                return blamed, f"a search finds {len(set(found))} documents, {kept:.0%} of those that it found before"
        self._found[answer.question] = found or known or ()
        return blamed, None

    def _generation(self, answer: CanaryAnswer, body: Mapping[str, Any]) -> tuple[str, str | None]:
        provider = str(body.get("provider") or answer.service)
        text = str(body.get("answer") or "")
        seen = " | ".join((text, str(sorted(body.get("citations") or [])), str(body.get("finish_reason"))))
        known = self._answers.setdefault((provider, answer.question), [])
        reason = None
        if FACT not in text:
            reason = f"{provider} does not find the fact that stands in its context: {text[:60]!r}"
        elif SOURCE not in (body.get("citations") or []):
            reason = f"{provider} does not cite the source of its answer"
        elif len(known) >= LEARNT_FROM and len(set(known)) == 1 and seen != known[0]:
            reason = f"{provider} always gave the same answer to a question, and now another: {text[:60]!r}"
        if reason is None:
            known.append(seen)
            del known[:-10]
        return provider, reason


_JUDGES = {"embedding": CanaryRules._embedding, "search": CanaryRules._search, "generation": CanaryRules._generation}


def _cosine(a: Values, b: Values) -> float:
    size = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / size if size else 0.0


@dataclass(slots=True)
class UserQualityRules:
    """What users, or probes with known answers, count: right, wrong, refused. Canaries say who is not to blame for it."""

    cache: str | None  # what may hold answers beside the stores
    stores: tuple[str, ...]
    provider: str | None
    canaries: CanaryRules
    _refused: list[float] = field(default_factory=list)

    def look(self, view: View) -> Iterator[Symptom]:
        results: dict[str, float] = {}
        for key, grown in view.grown("client_quality_total"):
            results[key.label("result")] = results.get(key.label("result"), 0.0) + grown
        asked = sum(results.values())
        if asked < MIN_ANSWERS:
            return
        wrong, refused = results.get("wrong", 0.0) / asked, results.get("refused", 0.0) / asked
        usual = sorted(self._refused)[len(self._refused) // 2] if len(self._refused) >= 8 else None
        more = usual is not None and refused > usual + REFUSED_MORE
        if wrong < WRONG_SHARE and not more:
            self._refused = [*self._refused[-40:], refused]
            return
        evidence = f"{wrong:.0%} of {asked:.0f} answers that users got are wrong, {refused:.0%} refused"
        if not self.canaries.good_lately("generation", view):
            if self.provider is not None and not self.canaries.mixed("generation", view):
                yield Symptom("AnswersWrong", self.provider, "quality", evidence, directness=0.65, for_s=1.4)
            return
        evidence += ", and the provider answers from a given context as it should"
        holder, why = self._holder(view, wrong, refused)
        if holder is not None:
            yield Symptom("AnswersWrong", holder, "data", evidence + why, directness=0.58, for_s=1.4)

    def _holder(self, view: View, wrong: float, refused: float) -> tuple[str | None, str]:
        """Who holds what is wrong. Contexts that belong to another question are declined; what is out of date fits, and is wrong.

        Entries that were exchanged can only come from the cache if the index finds what it found, and as many answers come from it.
        """
        store = self.stores[0] if self.stores else None
        hits = _hit_share(view) if self.cache is not None else None
        exchanged = hits is not None and refused > wrong and wrong + refused <= hits + BY_CHANCE and self.canaries.index_as_before(view)
        if exchanged or store is None:
            return self.cache, f"; searches past the cache find what they found, and it serves {hits:.0%} of them" if exchanged else ""
        return store, ""


def _hit_share(view: View) -> float | None:
    """Of the look-ups of whoever asks the shared tier, over all tiers; None where nobody does."""
    looked_up = hits = 0.0
    shared = {(key.service, key.label("cache")) for key, _ in view.grown("rag_cache_requests_total") if key.label("tier") == "redis"}
    for key, grown in view.grown("rag_cache_requests_total"):
        if (key.service, key.label("cache")) in shared:
            hits += grown if key.label("result") == "hit" else 0.0
            # each is looked up in the first tier; what that has not is looked up in the shared one
            looked_up += grown if key.label("result") == "hit" or key.label("tier") == "redis" else 0.0
    return hits / looked_up if looked_up else None
