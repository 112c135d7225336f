"""What ships must be clean: every scenario of the project and the starter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.faults.registry import CATALOG as REAL
from harness.scenario.check import check
from harness.scenario.loader import load_scenario, load_text
from harness.scenario.model import Scenario
from harness.scenario.schema import digest, json_schema, resolved
from harness.scenario.starter import starter
from harness.stack.catalog import info_for
from tests.unit.scenario.catalogue import CATALOG, EXTERNAL, REFERENCE, WITH_VECTOR_STORE

SCENARIOS = sorted((Path(__file__).resolve().parents[3] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_shipped_scenario_is_clean_and_short(path: Path) -> None:
    loaded = load_scenario(path)
    stack = REFERENCE if loaded.scenario.stack.vector_store == "pgvector" else WITH_VECTOR_STORE
    if loaded.scenario.stack.driver == "swarm":
        able = frozenset({*REFERENCE.capabilities, "HostKillable"})
        stack = replace(REFERENCE, hosts=tuple(loaded.scenario.stack.nodes), capabilities=able)
    catalogue = CATALOG
    further = max(0, len(loaded.scenario.faults) - 1)  # a tour takes its time
    if loaded.scenario.stack.tls or further:
        stack, catalogue = info_for(loaded.scenario.stack), dict(REAL)
    assert check(loaded, catalogue, stack) == []
    assert loaded.scenario.name == path.stem
    assert loaded.scenario.hypothesis
    assert loaded.scenario.duration_s <= (100 if loaded.scenario.compare is None else 610) + 32 * further  # a comparison needs the samples
    assert len(loaded.text.splitlines()) <= 45 + 2 * further


def test_the_promised_scenarios_are_there() -> None:
    assert {p.stem for p in SCENARIOS} >= {
        "null", "null-spike", "null-rolling-deploy", "null-ingest-burst", "llm-brownout", "retrieval-replica-killed", "cache-down",
        "slow-network-to-db", "llm-rate-limited", "vector-store-down", "swarm-node-lost", "tls-certificate-expired",
    }  # fmt: skip


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_resolved_reads_back_to_the_same_scenario(path: Path) -> None:
    scenario = load_scenario(path).scenario
    again = Scenario.model_validate(resolved(scenario))
    assert again == scenario
    assert resolved(again) == resolved(scenario)
    assert digest(again) == digest(scenario)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_shipped_scenario_fits_the_schema(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


def test_the_starter_is_clean() -> None:
    loaded = load_text(starter("shop-search", "http://127.0.0.1:9000"), "shop-search.yaml")
    assert check(loaded, CATALOG, EXTERNAL) == []
    assert loaded.scenario.name == "shop-search"
    assert loaded.scenario.stack.services["gateway"].url == "http://127.0.0.1:9000"


def test_digest_ignores_layout_and_spelled_out_defaults() -> None:
    short = load_text("name: a\nload: {shape: [{constant: 10/s}]}\nphases: {warmup: 1s}\n").scenario
    long = load_text("# other\nphases:\n  warmup: 1000ms\nload:\n  shape:\n  - constant: 600/m\n  timeout: 30s\nname: 'a'\n").scenario
    assert digest(short) == digest(long)
    assert digest(short) != digest(load_text("name: b\nload: {shape: [{constant: 10/s}]}\nphases: {warmup: 1s}\n").scenario)
