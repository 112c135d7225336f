"""What the telemetry contract tells beside requests: caches, pools, providers and models, documents, quality, degradations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.ops.monitoring.readings import Reading
from harness.ops.monitoring.rounds import CLIENT, Round
from harness.ops.monitoring.windows import Key, Windows
from harness.telemetry import contract

_NAMES = frozenset(
    {
        contract.CACHE_REQUESTS,
        contract.POOL_SIZE,
        contract.POOL_IN_USE,
        contract.POOL_WAITING,
        contract.INGEST,
        contract.DEGRADED,
        contract.LLM_REQUESTS,
        contract.LLM_TOKENS,
        f"{contract.LLM_FIRST_TOKEN}_sum",
        f"{contract.LLM_FIRST_TOKEN}_count",
        contract.CLIENT_SIDE_QUALITY,
        contract.VECTOR_REJECTED,
        contract.ACTIVE_USERS,
        contract.REQUESTS,
    }
)


@dataclass(slots=True)
class Application:
    """Rates and shares over a window, by what the labels of the contract tell apart."""

    windows: Windows = field(default_factory=lambda: Windows(keep_s=60.0))

    def take(self, round_: Round, window_s: float) -> Iterator[Reading]:
        """Of services: `cache_hits`, `pool_used:POOL`, `pool_waiting:POOL`, `documents_per_s:STATE`, `degraded_per_s:REASON`. Of providers:
        `requests_per_s:MODEL`, `failures:MODEL`, `first_token:MODEL`, `tokens_per_s:MODEL:DIRECTION`, and a request on average
        `prompt_tokens:MODEL`, `answer_tokens:MODEL`. Of users: `quality`, the share of questions with a known answer that were answered
        correctly, and `refused`; of the service they ask, `users` and `queries_per_user` a minute. Of data: `documents_failed`, the share
        of documents that were given up, and `vectors_rejected_per_s:REASON`.
        """
        for look in round_.looks:
            kept = [sample for sample in look.samples if sample[0] in _NAMES]
            self.windows.add(round_.t_s, look.endpoint.service, look.endpoint.instance, kept)
        self.windows.add(round_.t_s, CLIENT, CLIENT, [sample for sample in round_.client if sample[0] in _NAMES])
        if window_s <= 0:
            return
        t_s = round_.t_s
        yield from self._caches(t_s, window_s)
        yield from self._pools(t_s, window_s)
        yield from self._providers(t_s, window_s)
        yield from self._data(t_s, window_s)
        yield from self._users(t_s, window_s)
        for (service, reason), grown in self._grown(contract.DEGRADED, t_s, window_s, "reason").items():
            yield Reading(service, f"degraded_per_s:{reason}", grown / window_s)
        told = {result: n for (_, result), n in self._grown(contract.CLIENT_SIDE_QUALITY, t_s, window_s, "result").items()}
        asked = told.get("correct", 0.0) + told.get("wrong", 0.0)
        if asked:
            yield Reading(CLIENT, "quality", told.get("correct", 0.0) / asked, round(asked))
        if everything := asked + told.get("refused", 0.0):
            yield Reading(CLIENT, "refused", told.get("refused", 0.0) / everything, round(everything))

    def _data(self, t_s: float, window_s: float) -> Iterator[Reading]:
        """What becomes of documents, and which vectors cannot be used."""
        documents = self._grown(contract.INGEST, t_s, window_s, "state")
        for (service, state), grown in documents.items():
            yield Reading(service, f"documents_per_s:{state}", grown / window_s)
        yield from _shares(documents, "documents_failed", "dead", "indexed")
        for (service, reason), grown in self._grown(contract.VECTOR_REJECTED, t_s, window_s, "reason").items():
            yield Reading(service, f"vectors_rejected_per_s:{reason}", grown / window_s)

    def _users(self, t_s: float, window_s: float) -> Iterator[Reading]:
        """How many there are, and how much each asks for: a crowd and a robot look alike in requests alone."""
        users: dict[str, float] = defaultdict(float)
        for key, value in self.windows.latest(contract.ACTIVE_USERS, t_s, window_s):
            users[key.service] = max(users[key.service], value)
        for service, n in users.items():
            yield Reading(service, "users", n)
            grown = sum(grown for key, grown in self.windows.increases(contract.REQUESTS, t_s, window_s) if _asked(key, service))
            if n:
                yield Reading(service, "queries_per_user", grown * 60.0 / window_s / n)

    def _caches(self, t_s: float, window_s: float) -> Iterator[Reading]:
        yield from _shares(self._grown(contract.CACHE_REQUESTS, t_s, window_s, "result"), "cache_hits", "hit", "miss")

    def _pools(self, t_s: float, window_s: float) -> Iterator[Reading]:
        """Over all instances: one that is exhausted among several shows in what waits."""
        size, in_use, waiting = (
            self._latest(name, t_s, window_s) for name in (contract.POOL_SIZE, contract.POOL_IN_USE, contract.POOL_WAITING)
        )
        for (service, pool), value in size.items():
            if value > 0:
                yield Reading(service, f"pool_used:{pool}", in_use.get((service, pool), 0.0) / value)
            yield Reading(service, f"pool_waiting:{pool}", waiting.get((service, pool), 0.0))

    def _providers(self, t_s: float, window_s: float) -> Iterator[Reading]:
        asked: dict[tuple[str, str], float] = defaultdict(float)
        failed: dict[tuple[str, str], float] = defaultdict(float)
        for key, grown in self.windows.increases(contract.LLM_REQUESTS, t_s, window_s):
            asked[_of_model(key)] += grown
            failed[_of_model(key)] += grown if key.label("outcome") != contract.OK else 0.0
        for (provider, model), n in asked.items():
            yield Reading(provider, f"requests_per_s:{model}", n / window_s)
            if n:
                yield Reading(provider, f"failures:{model}", failed[provider, model] / n, round(n))
        tokens: dict[tuple[str, str, str], float] = defaultdict(float)
        for key, grown in self.windows.increases(contract.LLM_TOKENS, t_s, window_s):
            tokens[*_of_model(key), key.label("direction")] += grown
        for (provider, model, direction), n in tokens.items():
            yield Reading(provider, f"tokens_per_s:{model}:{direction}", n / window_s)
            answered = asked.get((provider, model), 0.0) - failed.get((provider, model), 0.0)
            if answered > 0 and direction in _LENGTHS:
                yield Reading(provider, f"{_LENGTHS[direction]}:{model}", n / answered, round(answered))
        total, count = (self._by_model(f"{contract.LLM_FIRST_TOKEN}_{part}", t_s, window_s) for part in ("sum", "count"))
        for (provider, model), n in count.items():
            if n:
                yield Reading(provider, f"first_token:{model}", total.get((provider, model), 0.0) / n, round(n))

    def _by_model(self, name: str, t_s: float, window_s: float) -> Mapping[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = defaultdict(float)
        for key, grown in self.windows.increases(name, t_s, window_s):
            found[_of_model(key)] += grown
        return found

    def _grown(self, name: str, t_s: float, window_s: float, label: str) -> Mapping[tuple[str, str], float]:
        """Growth by service and label, over instances and all other labels."""
        found: dict[tuple[str, str], float] = defaultdict(float)
        for key, grown in self.windows.increases(name, t_s, window_s):
            found[key.service, key.label(label)] += grown
        return found

    def _latest(self, name: str, t_s: float, window_s: float) -> Mapping[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = defaultdict(float)
        for key, value in self.windows.latest(name, t_s, window_s):
            found[key.service, key.label("pool")] += value
        return found


_LENGTHS = {"prompt": "prompt_tokens", "completion": "answer_tokens"}
_NO_QUESTIONS = ("/health", "/ready", "/metrics")


def _asked(key: Key, service: str) -> bool:
    return key.service == service and key.label("route") not in _NO_QUESTIONS


def _of_model(key: Key) -> tuple[str, str]:
    return key.label("provider"), key.label("model")


def _shares(grown: Mapping[tuple[str, str], float], name: str, of: str, beside: str) -> Iterator[Reading]:
    """By service, the share of what came to the one end in what came to either."""
    for service in dict.fromkeys(service for service, _ in grown):
        part, rest = grown.get((service, of), 0.0), grown.get((service, beside), 0.0)
        if part + rest:
            yield Reading(service, name, part / (part + rest), round(part + rest))
