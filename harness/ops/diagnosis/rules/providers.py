"""Providers of models: what they refuse, what breaks off, who answers, and how much is counted.

An attempt that fails is absorbed by a retry or by another provider, so neither users nor the caller's own errors need show it: the
callers' counters do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.baseline import Baseline
from harness.ops.monitoring.symptoms import Symptom

MIN_CALLS = 5
FAILING_SHARE = 0.15
BROKEN_OFF_SHARE = 0.08
TOKENS_SCORE = 8.0
TOKENS_TIMES = 1.8  # more than that many times the usual length, or less than one such part of it
PACE_TIMES = 3.0
PACE_EFFECT_S = 0.03
_NOT_FAILED = ("ok", "circuit_open", "rate_limited")  # rate limits have a rule of their own, and an open circuit is no answer
_BROKEN_OFF = {"connection_lost", "error"}  # answers that ended too early, or could not be read: a provider in order has none
_KINDS: Mapping[str, str] = {
    "timeout": "hang",
    "connect_error": "network",
    "connection_lost": "network",
    "http_4xx": "errors",
    "http_5xx": "errors",
    "error": "errors",
}


@dataclass(slots=True)
class ProviderRules:
    """By provider: share of failed attempts, share of answers that broke off or could not be read, model, tokens an answer."""

    _models: dict[str, set[str]] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], Baseline] = field(default_factory=dict)
    _calm: dict[str, int] = field(default_factory=dict)
    _pace: dict[str, Baseline] = field(default_factory=dict)

    def look(self, view: View) -> Iterator[Symptom]:
        outcomes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        served: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))  # by model
        for key, grown in view.grown("rag_llm_requests_total"):
            provider, outcome = key.label("provider"), key.label("outcome")
            outcomes[provider][outcome] += grown
            if outcome == "ok" and grown > 0:
                served[provider][key.label("model")] += grown
        tokens: dict[tuple[str, str], float] = defaultdict(float)
        for key, grown in view.grown("rag_llm_tokens_total"):
            tokens[key.label("provider"), key.label("direction")] += grown
        yield from self._slow_tokens(view)
        for provider, counts in outcomes.items():
            failed = list(_failed(provider, counts))
            yield from failed
            if not failed:
                yield from self._answers(provider, served[provider], tokens)

    def _slow_tokens(self, view: View) -> Iterator[Symptom]:
        """By the provider's own account: a stream that trickles is no slow call, for that ends with the first byte."""
        took_s: dict[str, float] = defaultdict(float)
        tokens: dict[str, float] = defaultdict(float)
        for key, grown in view.grown("vllm:time_per_output_token_seconds_sum"):
            took_s[key.service] += grown
        for key, grown in view.grown("vllm:time_per_output_token_seconds_count"):
            tokens[key.service] += grown
        for provider, n in tokens.items():
            if n < MIN_CALLS:
                continue
            each_s, usual = took_s[provider] / n, self._pace.setdefault(provider, Baseline(floor=0.002))
            if usual.ready and each_s > PACE_TIMES * usual.median and each_s - usual.median > PACE_EFFECT_S:
                evidence = f"{provider} needs {each_s * 1e3:.0f} ms a token, usually {usual.median * 1e3:.0f}"
                yield Symptom("TokensSlow", provider, "latency", evidence, directness=0.85, for_s=0.9)
            else:
                usual.learn(each_s)

    def _answers(self, provider: str, served: Mapping[str, float], tokens: Mapping[tuple[str, str], float]) -> Iterator[Symptom]:
        answers = sum(served.values())
        if answers < MIN_CALLS:
            return
        known = self._models.setdefault(provider, set())
        self._calm[provider] = self._calm.get(provider, 0) + 1
        if self._calm[provider] <= 8:
            known.update(served)
        if strange := sorted(set(served) - known):
            evidence = f"{provider} answers as {', '.join(strange)}, before as {', '.join(sorted(known))}"
            yield Symptom("ModelChanged", provider, "version", evidence, "warning", directness=0.85, for_s=0.4)
        for direction in ("prompt", "completion"):
            yield from self._counted(provider, direction, tokens.get((provider, direction), 0.0) / answers)

    def _counted(self, provider: str, direction: str, each: float) -> Iterator[Symptom]:
        usual = self._tokens.setdefault((provider, direction), Baseline(floor=1.0))
        if usual.ready and each < 0.1 * usual.median:
            evidence = f"{provider} counts {each:.1f} {direction} tokens an answer, usually {usual.median:.0f}"
            yield Symptom("UsageMissing", provider, "data", evidence, "warning", directness=0.8, for_s=0.9)
        elif direction == "completion" and usual.ready and _far(usual, each):
            evidence = f"answers of {provider} have {each:.0f} tokens, usually {usual.median:.0f}"
            yield Symptom("AnswerLength", provider, "quality", evidence, "warning", directness=0.55, for_s=1.9)
        else:
            usual.learn(each)


def _far(usual: Baseline, each: float) -> bool:
    times = each / usual.median if usual.median else 1.0
    return abs(usual.score(each)) > TOKENS_SCORE and (times > TOKENS_TIMES or times < 1.0 / TOKENS_TIMES)


def _failed(provider: str, counts: Mapping[str, float]) -> Iterator[Symptom]:
    attempts = sum(n for outcome, n in counts.items() if outcome != "circuit_open")
    failed = {outcome: n for outcome, n in counts.items() if n > 0 and outcome not in _NOT_FAILED}
    if attempts < MIN_CALLS or not failed:
        return
    worst = max(failed, key=lambda o: (failed[o], o))
    share = sum(failed.values()) / attempts
    enough = BROKEN_OFF_SHARE if set(failed) <= _BROKEN_OFF else FAILING_SHARE
    if share >= enough and sum(failed.values()) >= 2:
        evidence = f"{share:.0%} of the attempts at {provider} fail: {', '.join(sorted(failed))}"
        yield Symptom("CallErrors", provider, _KINDS.get(worst, "errors"), evidence, score=share, directness=0.75, for_s=0.4)
