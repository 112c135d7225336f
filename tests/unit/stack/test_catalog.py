from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from harness.scenario.catalog import StackInfo
from harness.scenario.model import StackSpec, VectorStoreName
from harness.stack.catalog import ACTUATED, info_for, reference_info
from harness.stack.topology import topology


def test_the_reference_stack_by_default() -> None:
    info = info_for(StackSpec())
    assert info.name == "reference"
    assert info.services == {
        "postgres": 1, "cache": 1, "llm": 1, "llm_fallback": 1, "retrieval": 2, "document": 1, "user": 1, "embedding": 1, "generation": 2,
        "query": 1, "gateway": 1,
    }  # fmt: skip
    assert info.journeys == {"ask", "ask_stream", "follow_up", "search", "ingest", "login"}
    assert info.programmable == {"llm", "llm_fallback"}
    assert info.proxyable == info.edges
    assert info.quality
    assert info.dependants("postgres") == {"retrieval", "document", "user", "query", "gateway"}


@pytest.mark.parametrize("store", ["qdrant", "chroma"])
def test_a_vector_store_of_its_own_is_one_service_more_and_needed_by_the_same(store: VectorStoreName) -> None:
    plain, info = info_for(StackSpec()), info_for(StackSpec(vector_store=store))
    edges = {("retrieval", "vector"), ("document", "vector")}
    assert info == replace(
        plain,
        services={**plain.services, "vector": 1},
        alternatives={  # on a cluster, vectors kept apart from their documents are out of reach
            **plain.alternatives,
            "{driver: kubernetes}": plain.alternatives["{driver: kubernetes}"] - {"Documented"},
            "{vector_store: pgvector}": plain.capabilities,
        },
        edges=plain.edges | edges,
        proxyable=plain.proxyable | edges,
        programmable=plain.programmable | {"vector"},
        roles={**plain.roles, "vector": "vector"},
    )
    assert info.dependants("vector") == {"retrieval", "document", "query", "gateway"}
    chosen = topology(store)
    assert (chosen.services["vector"].module, chosen.services["vector"].arguments) == ("mocks.vector", (store,))
    assert chosen.services["vector"].critical == chosen.services["postgres"].critical
    assert {name for name, service in chosen.services.items() if "VECTOR_STORE" in service.variables} == {"retrieval", "document"}


def test_replicas_are_as_asked() -> None:
    assert info_for(StackSpec(replicas={"retrieval": 4, "query": 2})).services["retrieval"] == 4


@pytest.mark.parametrize(
    ("replicas", "message"),
    [
        ({"retriever": 2}, "no service 'retriever'; there are postgres, cache, llm,"),
        ({"postgres": 2}, "postgres cannot be replicated: it runs exactly once"),
        ({"gateway": 3}, "gateway cannot be replicated"),
        ({"query": 9}, "query can have 1 to 8 replicas, not 9"),
        ({"query": 0}, "query can have 1 to 8 replicas, not 0"),
    ],
)
def test_impossible_replicas_are_refused(replicas: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference_info(replicas)


def test_an_external_stack_has_what_it_declares_and_no_capability() -> None:
    spec = StackSpec.model_validate(
        {
            "use": "external",
            "services": {"gateway": {"url": "http://127.0.0.1:8000"}, "db": {"url": "http://127.0.0.1:8001"}},
            "edges": [["gateway", "db"]],
        }
    )
    info = info_for(spec)
    assert info == StackInfo(
        name="external",
        services={"gateway": 1, "db": 1},
        edges=frozenset({("gateway", "db")}),
        capabilities=frozenset(),
        journeys=frozenset(),
        roles={"gateway": "http", "db": "http"},
        acts_on=dict.fromkeys(ACTUATED.values(), frozenset()),
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"use": "external"}, "an external stack names its services"),
        ({"use": "external", "services": {"a": {"url": "http://a"}}, "edges": [["a", "b"]]}, "not declared: b"),
        ({"use": "external", "services": {"a": {"url": "http://a"}}, "replicas": {"a": 2}}, "`replicas` belong to the reference stack"),
        ({"services": {"a": {"url": "http://a"}}}, "describe an external stack"),
    ],
)
def test_contradictions_are_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        info_for(StackSpec.model_validate(document))


def test_checking_a_scenario_needs_nothing_that_runs_one() -> None:
    script = "import sys, harness.stack.catalog; print(*sorted({'psutil', 'psycopg', 'redis', 'httpx'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
