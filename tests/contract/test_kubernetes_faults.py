"""Every fault that is an object of Chaos Mesh, on a stand-in for a cluster: it bites, by what others say than its object, and goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.faults import registry
from harness.faults.base import Context, Evidence, FaultError
from harness.faults.mesh import edges, pods
from harness.faults.mesh.table import ROWS
from harness.faults.undo import execute
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.model import FaultUse
from harness.stack.kubernetes.stack import KubernetesStack
from tests.cluster.running import stack_on
from tests.cluster.server import FakeCluster

WITHIN_S = 30.0
POLL_S = 0.02
USES: dict[str, dict[str, Any]] = {
    "process.kill": {"target": "retrieval-2"},
    "process.stop": {"target": "retrieval-1", "with": {"grace": "2s"}},
    "cache.down": {"target": "cache"},
    "database.down": {"target": "postgres"},
    "resource.cpu_stress": {"target": "generation-1"},
    "resource.memory_pressure": {"target": "retrieval-1", "with": {"left_mb": 16}},
    "resource.disk_full": {"target": "postgres"},
    "clock.jump": {"target": "gateway", "with": {"offset": "-1h"}},
    "network.latency": {"target": "retrieval->postgres", "with": {"delay": "60ms", "direction": "both"}},
    "network.loss": {"target": "gateway->query", "with": {"rate": "30%"}},
    "network.partition": {"target": "retrieval->cache", "with": {"direction": "upstream"}},
    "network.dns_failure": {"target": "query->retrieval"},
    "network.dns_wrong": {"target": "generation->llm_fallback"},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCluster]:
    fake = FakeCluster(tmp_path_factory.mktemp("cluster"))
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def stack(cluster: FakeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesStack]:
    made = stack_on(cluster, tmp_path_factory.mktemp("stack"))
    made.start()
    yield made
    made.stop()
    assert cluster.store.select("Namespace") == []


def build(name: str, stack: KubernetesStack) -> Any:
    use = FaultUse.model_validate({"id": "f", "type": name, **USES[name]})
    return registry.build(use, Context(stack, SystemClock(), Random(1))).fault


def awaited(look: Callable[[], Evidence | None]) -> Evidence:
    """What a look finds in the end; a FaultError of one look is no end, as when a fault is played."""
    clock, said = SystemClock(), ""
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while clock.now_ns() < deadline_ns:
        try:
            found = look()
        except FaultError as error:
            said = str(error)
        else:
            if found is not None:
                return found
        clock.sleep(POLL_S)
    raise AssertionError(f"nothing is found; last: {said}")


def inject(fault: Any) -> None:
    """Once the machine is calm enough for the fault to see that nothing is wrong before it."""
    awaited(lambda: fault.inject() or {"injected": True})


def chaos(cluster: FakeCluster) -> list[str]:
    return [one["kind"] for kind in {row.kind for row in ROWS} for one in cluster.store.select(kind)]


def test_every_row_is_used() -> None:
    assert {row.spec.name for row in ROWS} == set(USES)


def test_every_row_is_in_the_documentation_with_its_object() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    table = page.partition("| fault | object |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    told = {name: cell.split()[0].strip(",") for names, cell in rows for name in re.findall(r"`([\w.]+)`", names)}
    assert told == {row.spec.name: row.kind for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.spec.name)
def test_it_bites_and_goes(row: Any, stack: KubernetesStack, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges, "PATIENCE_S", 1.5)  # nothing is far away here
    monkeypatch.setattr(pods, "OVER_S", 0.1)
    fault = build(row.spec.name, stack)
    assert fault.spec.needs == ("Meshed",)
    fault.heal()  # without inject
    assert awaited(fault.gone)
    inject(fault)
    fault.inject()
    assert chaos(cluster) == [row.kind]
    evidence = awaited(fault.verify)
    assert evidence["object"] == f"{row.kind}/{fault.object_name}"
    assert fault.gone() is None
    fault.heal()
    fault.heal()
    assert chaos(cluster) == []
    assert awaited(fault.gone)
    inject(fault)  # once more, and taken back without it
    awaited(fault.verify)
    for undo in fault.undo():
        done = execute(undo, cluster.folder)
        assert done.ok, done
    assert chaos(cluster) == []
    assert awaited(fault.gone)
