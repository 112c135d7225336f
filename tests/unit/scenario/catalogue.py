"""A small catalogue of faults and two stacks, for the checks alone: what they promise does not depend on what is implemented."""

from __future__ import annotations

from dataclasses import replace

from harness.scenario.catalog import FaultParameters, FaultSpec, StackInfo
from harness.scenario.model import Duration, Rate


class _SlowFirstToken(FaultParameters):
    ttft: Duration


class _RateLimited(FaultParameters):
    rate: Rate
    burst: int = 1


class _Latency(FaultParameters):
    delay: Duration
    jitter: Duration = 0.0


class _Rolling(FaultParameters):
    version: str


class _Nothing(FaultParameters):
    pass


def _spec(name: str, kind: str, parameters: type[FaultParameters], **more: object) -> FaultSpec:
    given = {"targets": ("service", "instance"), "needs": (), "summary": name, "evidence": "", "example": "", **more}
    return FaultSpec(name=name, kind=kind, parameters=parameters, **given)  # type: ignore[arg-type]  # keywords of the table below


CATALOG = {
    spec.name: spec
    for spec in (
        _spec(
            "llm.slow_first_token",
            "latency",
            _SlowFirstToken,
            targets=("service",),
            needs=("Programmable",),
            recoverable_by=("switch_provider",),
        ),
        _spec(
            "llm.rate_limited",
            "rate_limit",
            _RateLimited,
            targets=("service",),
            needs=("Programmable",),
            recoverable_by=("switch_provider",),
        ),
        _spec("process.kill", "crash", _Nothing, targets=("instance",), needs=("Killable",), recoverable_by=("restart",)),
        _spec("host.killed", "crash", _Nothing, targets=("host",), needs=("HostKillable",), recoverable_by=("restart",)),
        _spec("process.pause", "hang", _Nothing, needs=("Pausable",), recoverable_by=("restart",)),
        _spec(
            "cache.down",
            "crash",
            _Nothing,
            targets=("service",),
            needs=("Killable",),
            only_services=("cache",),
            recoverable_by=("restart",),
        ),
        _spec("network.latency", "network", _Latency, targets=("edge",), needs=("Proxied",)),
        _spec("observability.alert_webhook_down", "none", _Nothing, targets=("webhook",), benign=True),
        _spec("deploy.rolling", "none", _Rolling, targets=("service",), needs=("Rollbackable",), benign=True),
    )
}

EDGES = frozenset(
    {
        ("gateway", "query"), ("gateway", "user"), ("gateway", "document"), ("query", "retrieval"), ("query", "embedding"),
        ("query", "generation"), ("retrieval", "postgres"), ("retrieval", "cache"), ("embedding", "llm"), ("generation", "llm"),
        ("generation", "llm_fallback"), ("document", "postgres"), ("document", "cache"), ("user", "postgres"),
    }
)  # fmt: skip
REFERENCE = StackInfo(
    name="reference",
    services={
        "gateway": 1, "query": 1, "document": 1, "retrieval": 2, "embedding": 1, "generation": 2, "user": 1, "postgres": 1, "cache": 1,
        "llm": 1, "llm_fallback": 1,
    },
    edges=EDGES,
    capabilities=frozenset({"Killable", "Pausable", "Restartable", "Proxied", "Programmable", "Rollbackable", "Configurable"}),
    journeys=frozenset({"ask", "ask_stream", "ingest"}),
    proxyable=frozenset({("retrieval", "postgres")}),
    programmable=frozenset({"llm", "llm_fallback"}),
    quality=True,
)  # fmt: skip
VECTOR_EDGES = frozenset({("retrieval", "vector"), ("document", "vector")})
WITH_VECTOR_STORE = replace(
    REFERENCE,
    services={**REFERENCE.services, "vector": 1},
    edges=EDGES | VECTOR_EDGES,
    proxyable=REFERENCE.proxyable | VECTOR_EDGES,
    programmable=REFERENCE.programmable | {"vector"},
)
EXTERNAL = StackInfo(
    name="external", services={"gateway": 1}, edges=frozenset(), capabilities=frozenset(), journeys=frozenset(), quality=False
)
COMPOSE = replace(EXTERNAL, name="compose", services={"web": 1, "c": 1}, roles={"c": "redis"}, acts_on={"Scalable": frozenset({"web"})})
BARE = replace(REFERENCE, capabilities=frozenset({"Pausable"}))
