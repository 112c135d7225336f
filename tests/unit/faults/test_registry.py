"""The catalogue against the stack's contract: every fault described, its example valid, its truth whole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from harness.faults.base import Context, FaultError
from harness.faults.registry import CATALOG, build, describe
from harness.record.clock import NS_PER_S
from harness.record.events import FAULT, Event
from harness.record.journal import Journal, read_journal
from harness.scenario.catalog import StackInfo
from harness.scenario.model import KINDS, FaultUse
from harness.stack.base import CAPABILITIES, DocumentsAt, Instance, Stack
from harness.stack.catalog import STACKS, reference_info
from harness.testing import FakeClock

ALL = frozenset(CAPABILITIES) - {"Meshed"}
"""That a stack could have at once: with Chaos Mesh, faults are others (`tests/contract/test_kubernetes_faults.py`)."""

INFO = StackInfo(
    name="small",
    services={"gateway": 1, "retrieval": 3, "postgres": 1, "cache": 1, "llm": 1, "user": 1},
    edges=frozenset({("gateway", "retrieval"), ("gateway", "user"), ("retrieval", "postgres"), ("user", "postgres"), ("retrieval", "llm")}),
    capabilities=ALL,
    journeys=frozenset(),
    roles={"llm": "llm"},
)
REFERENCE, WITH_VECTORS = (replace(reference_info({}, store), capabilities=ALL) for store in ("pgvector", "qdrant"))
OVER_TLS = replace(reference_info({}, driver="containers", tls=True), capabilities=ALL)
OVER_HOSTS = replace(REFERENCE, hosts=("a", "b"))
VERBS = {"restart", "scale", "failover", "rollback", "clear_cache", "shed_load", "switch_provider", "reset_pool", "reindex"}


def context(seed: int = 1, info: StackInfo = INFO) -> Context:
    def instances(service: str) -> list[Instance]:
        return [Instance(service, f"{service}-{n + 1}", "http://127.0.0.1:9", "1") for n in range(info.services[service])]

    def instances_on(_host: str) -> list[Instance]:
        return instances("retrieval")

    known = {"info": info, "entry_url": "http://127.0.0.1:9", "api_key": None}
    return Context(
        cast(
            Stack,
            SimpleNamespace(
                **known, instances=instances, instances_on=instances_on, documents=lambda: DocumentsAt("postgresql://127.0.0.1:9")
            ),
        ),
        FakeClock(),
        Random(seed),
    )


def use(**fields: Any) -> FaultUse:
    return FaultUse.model_validate({"id": "f", "for": "20s", **fields})


def example(name: str) -> FaultUse:
    return FaultUse.model_validate(yaml.safe_load(CATALOG[name].example))


def example_context(name: str) -> Context:
    """In a stack that has the target."""
    if CATALOG[name].targets == ("host",):
        return context(info=OVER_HOSTS)
    if CATALOG[name].only_roles == ("tls",):
        return context(info=OVER_TLS)
    return context(info=WITH_VECTORS if "vector" in re.split("->|-", example(name).target) else REFERENCE)


@pytest.mark.parametrize("name", CATALOG)
def test_every_fault_is_described_whole(name: str) -> None:
    spec, document = CATALOG[name], describe(CATALOG[name], STACKS)
    assert document["name"] == name == f"{document['family']}.{name.partition('.')[2]}"
    assert spec.kind in KINDS and (spec.kind == "none") == spec.benign
    assert {*spec.needs, *spec.either} <= set(CAPABILITIES)
    assert set(spec.recoverable_by) <= VERBS
    assert any(not lacking for lacking in document["stacks"].values()), "no stack can take it"
    assert "gone:" in spec.evidence or "during and after" in spec.evidence
    assert all(parameter["description"] and parameter["unit"] for parameter in document["parameters"])


@pytest.mark.parametrize("name", CATALOG)
def test_every_example_can_be_built_in_a_stack(name: str) -> None:
    known = build(example(name), example_context(name))
    assert known.fault.spec.name == name


@pytest.mark.parametrize("name", CATALOG)
def test_every_truth_survives_the_record(name: str, tmp_path: Path) -> None:
    known = build(example(name), example_context(name))
    assert not {"t_ns", "kind", "source"} & set(known.truth)
    journal = Journal(tmp_path / "events.jsonl")
    written = journal.append(Event(7 * NS_PER_S, FAULT, "truth", {**known.truth, "step": "intended"}))
    journal.close()
    assert list(read_journal(tmp_path / "events.jsonl")) == [written]


def test_what_a_stack_lacks_is_told() -> None:
    spec = CATALOG["deploy.rolling"]
    assert describe(spec, {"able": frozenset({"Rollbackable"}), "unable": frozenset()})["stacks"] == {
        "able": [],
        "unable": ["Rollbackable"],
    }
    either = replace(spec, needs=(), either=("Networked", "Proxied"))
    assert describe(either, {"able": frozenset({"Proxied"}), "unable": frozenset()})["stacks"] == {
        "able": [],
        "unable": ["Networked or Proxied"],
    }


def test_the_truth_of_a_killed_instance() -> None:
    known = build(use(type="process.kill", target="retrieval-2"), context())
    assert known.truth == {
        "id": "f",
        "type": "process.kill",
        "fault_kind": "crash",
        "service": "retrieval",
        "edge": None,
        "instance": "retrieval-2",
        "instances": ["retrieval-2"],
        "accepted": ["retrieval"],
        "blast_radius": ["gateway", "retrieval"],
        "recoverable_by": ["restart", "scale", "failover"],
        "benign": False,
    }


def test_the_truth_of_a_slow_edge_leaves_out_those_who_do_not_use_it() -> None:
    truth = build(use(type="network.latency", target="retrieval->postgres", **{"with": {"delay": "300ms"}}), context()).truth
    assert (truth["service"], truth["edge"], truth["accepted"]) == ("postgres", ["retrieval", "postgres"], ["retrieval->postgres"])
    assert truth["blast_radius"] == ["gateway", "postgres", "retrieval", "retrieval->postgres"]
    assert truth["recoverable_by"] == []


def test_a_service_stands_for_one_of_its_instances_drawn_with_the_seed() -> None:
    def picks(seed: int) -> list[str | None]:
        shared = context(seed)
        return [build(use(type="process.kill", target="retrieval"), shared).fault.target.instance for _ in range(12)]

    assert picks(1) == picks(1)
    assert set(picks(1)) == {"retrieval-1", "retrieval-2", "retrieval-3"}
    assert picks(1) != picks(2)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"type": "process.melt", "target": "retrieval"}, "no such fault: 'process.melt'; known: cache.down"),
        ({"type": "process.kill", "target": "retrieval-9"}, "there is no 'retrieval-9'"),
        ({"type": "process.kill", "target": "retrieval->postgres"}, "process.kill goes to service or instance"),
        ({"type": "network.latency", "target": "retrieval", "with": {"delay": "1s"}}, "network.latency goes to edge"),
        ({"type": "cache.down", "target": "postgres"}, "cache.down goes to cache, not to postgres"),
        ({"type": "llm.slow_first_token", "target": "llm"}, "ttft"),
        ({"type": "llm.slow_first_token", "target": "llm", "with": {"ttft": "4"}}, "is no duration"),
        ({"type": "llm.rate_limited", "target": "llm", "with": {"rate": "2/s", "burst": 0}}, "burst"),
        ({"type": "network.latency", "target": "retrieval->postgres", "with": {"delay": "10ms", "jitter": "9ms"}}, "jitter must be"),
        ({"type": "deploy.rolling", "target": "retrieval", "with": {"version": "../x"}}, "version"),
        ({"type": "process.kill", "target": "retrieval", "with": {"signal": 9}}, "signal"),
    ],
)
def test_what_the_stack_cannot_take_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FaultError, match=says):
        build(use(**fields), context())
