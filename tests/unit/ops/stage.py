"""Rounds written by hand for one rule: what it is shown, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import Rule, View
from harness.ops.monitoring.rounds import CLIENT, CanaryAnswer, Look, Round
from harness.ops.monitoring.signals import derive
from harness.ops.monitoring.symptoms import Symptom
from harness.ops.monitoring.windows import Windows
from harness.ops.targets import Endpoint

KINDS = {
    "gateway": "http", "query": "http", "retrieval": "http", "document": "http", "user": "http", "generation": "http",
    "llm": "llm", "llm_fallback": "llm", "postgres": "postgres", "cache": "redis",
}  # fmt: skip

Samples = Iterable[tuple[str, Mapping[str, str], float]]


@dataclass
class Stage:
    """`show` plays one round, a second after the one before."""

    rule: Rule
    t_s: float = 0.0
    windows: Windows = field(default_factory=lambda: Windows(keep_s=60.0))
    counters: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def count(self, instance: str, name: str, by: float, **labels: str) -> None:
        """Raise a counter, which is shown from then on."""
        key = (instance, name, tuple(sorted(labels.items())))
        self.counters[key] = self.counters.get(key, 0.0) + by

    def look(
        self, instance: str, samples: Samples = (), error: str | None = None, *, serving: bool = False, ahead_s: float | None = None
    ) -> Look:
        service = instance.rpartition("-")[0]
        role = KINDS.get(service, "http")
        http = role not in ("postgres", "redis")
        url = f"http://127.0.0.1:1/{instance}" if http else f"{role}://127.0.0.1:1/0"
        endpoint = Endpoint(service, instance, url, f"{url}/metrics" if http else None)
        counted = [(name, dict(labels), value) for (i, name, labels), value in self.counters.items() if i == instance]
        return Look(endpoint, 0.002, [*counted, *samples], error, serving, ahead_s)

    def show(self, *looks: Look, client: Samples = (), canaries: tuple[CanaryAnswer, ...] = ()) -> list[Symptom]:
        self.t_s += 1.0
        for look in looks:
            self.windows.add(self.t_s, look.endpoint.service, look.endpoint.instance, look.samples)
        counted = [(name, dict(labels), value) for (i, name, labels), value in self.counters.items() if i == CLIENT]
        self.windows.add(self.t_s, CLIENT, CLIENT, [*counted, *client])
        round_ = Round(self.t_s, looks, (), canaries)
        return list(self.rule.look(View(round_, derive(self.windows, self.t_s, 5.0), self.windows, KINDS)))


def told(symptoms: Iterable[Symptom]) -> list[tuple[str, str, str]]:
    """(name, service, kind) of each."""
    return [(s.name, s.service, s.kind) for s in symptoms]
