"""A small simulated RAG stack that speaks the telemetry contract, one second (`step_s`) a step: what the operator's rules are tested on."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.monitoring.symptoms import SymptomRules
from harness.ops.operator import Operator
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.ops.targets import Targets

EDGES = (
    ("gateway", "query"), ("query", "embedding"), ("query", "retrieval"), ("query", "generation"), ("gateway", "document"),
    ("embedding", "llm"), ("generation", "llm"), ("generation", "llm_fallback"), ("retrieval", "postgres"), ("retrieval", "cache"),
    ("document", "postgres"), ("document", "cache"), ("gateway", "cache"),
)  # fmt: skip
KINDS = dict.fromkeys(("gateway", "query", "embedding", "retrieval", "generation", "document"), "http") | {
    "llm": "llm", "llm_fallback": "llm", "postgres": "postgres", "cache": "redis",
}  # fmt: skip
OWN_S = {
    "gateway": 0.004,
    "query": 0.006,
    "embedding": 0.004,
    "retrieval": 0.006,
    "generation": 0.005,
    "document": 0.01,
    "llm": 0.12,
    "llm_fallback": 0.12,
}
PROBED = ("postgres", "cache")


@dataclass
class World:
    """Set `slow`, `way`, `failing`, `down` between steps; `step()` gives the next round."""

    directory: Path
    rate_per_s: float = 25.0
    noise: float = 0.2
    seed: int = 1
    replicas: dict[str, int] = field(default_factory=lambda: {"retrieval": 2, "generation": 2})
    slow: dict[str, float] = field(default_factory=dict)  # service -> extra seconds of its own
    way: dict[tuple[str, str], float] = field(default_factory=dict)  # edge -> extra seconds between
    failing: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)  # edge -> (outcome, share)
    down: dict[str, str] = field(default_factory=dict)  # instance -> error of a look
    deregistered: set[str] = field(default_factory=set)
    step_s: float = 1.0
    t_s: float = 0.0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.counters: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
        self.targets = Targets(
            kinds=KINDS,
            registry=self.directory / "registry.json",
            static={"postgres": ("postgresql://127.0.0.1:1/x",), "cache": ("redis://127.0.0.1:1/0",)},
            edges=EDGES,
            slos={"latency_p95": "<= 800ms"},
        )

    def instances(self, service: str) -> list[str]:
        return [f"{service}-{n}" for n in range(1, self.replicas.get(service, 1) + 1)]

    def latency(self, service: str) -> float:
        """Own time, its callees in turn, and the ways to them."""
        callees = [c for a, c in EDGES if a == service and c not in ("llm_fallback", "cache", "document")]
        below = sum(self.latency(c) + self.way.get((service, c), 0.0) for c in callees)
        jitter = 1 + self.random.uniform(-self.noise, self.noise)
        return (OWN_S.get(service, 0.003) + self.slow.get(service, 0.0)) * jitter + below

    def step(self) -> Round:
        self.t_s += self.step_s
        registered = {
            s: [{"name": i, "url": f"http://127.0.0.1:1/{i}", "weight": 1} for i in self.instances(s) if i not in self.deregistered]
            for s in KINDS
            if s not in PROBED
        }
        (self.directory / "registry.json").write_text(json.dumps({"revision": 1, "services": registered, "settings": {}}))
        looks = []
        for endpoint in self.targets.endpoints():
            error = self.down.get(endpoint.instance)
            samples = [] if error or endpoint.service in PROBED else self._samples(endpoint.service, endpoint.instance)
            duration = 0.002 + (self.slow.get(endpoint.service, 0.0) if endpoint.service in PROBED else 0.0)
            looks.append(Look(endpoint, duration, samples, error))
        return Round(self.t_s, tuple(looks), self._client())

    def _samples(self, service: str, instance: str) -> list[tuple[str, dict[str, str], float]]:
        share = self.rate_per_s / self.replicas.get(service, 1)
        latency = self.latency(service)
        self._count(instance, "rag_requests_total", share, route="/work", method="POST", status="200")
        self._count(instance, "rag_request_duration_seconds_sum", share * latency, route="/work")
        self._count(instance, "rag_request_duration_seconds_count", share, route="/work")
        gauges = [("rag_requests_in_progress", {}, share * latency)]
        for callee in (c for a, c in EDGES if a == service):
            calls = 0.0 if callee == "llm_fallback" else share
            took = self.latency(callee) + self.way.get((service, callee), 0.0)
            outcome, failed = self.failing.get((service, callee), ("error", 0.0))
            self._count(instance, "rag_client_requests_total", calls * (1 - failed), callee=callee, outcome="ok")
            self._count(instance, "rag_client_requests_total", calls * failed, callee=callee, outcome=outcome)
            self._count(instance, "rag_client_request_duration_seconds_sum", calls * took, callee=callee)
            self._count(instance, "rag_client_request_duration_seconds_count", calls, callee=callee)
            gauges.append(("rag_client_requests_in_progress", {"callee": callee}, calls * took))
        return [(name, dict(labels), value) for (i, name, labels), value in self.counters.items() if i == instance] + gauges

    def _client(self) -> list[tuple[str, dict[str, str], float]]:
        latency = self.latency("gateway")
        self._count("client", "client_requests_total", self.rate_per_s, journey="ask", outcome="ok")
        for bound in (0.1, 0.5, 0.8, 2.0, 5.0, float("inf")):
            self._count("client", "client_request_duration_seconds_bucket", self.rate_per_s * (latency <= bound), le=str(bound))
        return [(name, dict(labels), value) for (i, name, labels), value in self.counters.items() if i == "client"]

    def _count(self, instance: str, name: str, amount: float, **labels: str) -> None:
        self.counters[instance, name, tuple(sorted(labels.items()))] += amount * self.step_s


@dataclass
class Ear:
    """Keeps what the operator says, with the time of the world."""

    world: World
    said: list[tuple[float, str, object]] = field(default_factory=list)

    def alerts(self, changed: list[Alert]) -> None:
        self.said += [
            (self.world.t_s, "firing" if a.ends_at_s is None else "resolved", f"{a.labels['alertname']} {a.labels['service']}")
            for a in changed
        ]

    def diagnosis(self, causes: tuple[Cause, ...]) -> str:
        self.said.append((self.world.t_s, "diagnosis", tuple((c.service, c.kind) for c in causes)))
        return f"d{len(self.said)}"

    def act(self, step: Step, diagnosis_id: str | None) -> None:
        assert diagnosis_id is not None
        self.said.append((self.world.t_s, "action", step))

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        self.said.append((self.world.t_s, "escalation", handover.service))

    def of(self, what: str) -> list[object]:
        return [said for _, kind, said in self.said if kind == what]

    def first(self, what: str) -> tuple[float, object]:
        return next((t, said) for t, kind, said in self.said if kind == what)


def on_call(world: World, targets: Targets | None = None) -> tuple[Operator, Ear]:
    ear = Ear(world)
    return Operator(targets or world.targets, ear, SymptomRules(latency_limit_s=0.8)), ear
