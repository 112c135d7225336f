"""The driver on a stand-in for a cluster: it starts, acts on pods by the numbers of instances, and leaves nothing, whoever ends it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.cluster import Cluster, ClusterError
from harness.faults import registry
from harness.faults.admin_client import call
from harness.faults.base import Context, FaultError
from harness.faults.cleanup import tear_down
from harness.faults.fingerprint_looks import tables
from harness.faults.lease_files import Holder
from harness.faults.undo import execute
from harness.lifecycle import doctor
from harness.lifecycle.checking import check_loaded
from harness.lifecycle.systems import build_stack, proxied_edges, volumes
from harness.record.clock import SystemClock
from harness.scenario.loader import load_text
from harness.scenario.model import FaultUse, StackSpec
from harness.scenario.problem import ScenarioError
from harness.stack.base import Stack, StackError
from harness.stack.kubernetes.stack import KubernetesStack
from harness.sweep_containers import RUN_LABEL
from harness.sweep_kubernetes import NOTE, await_, note, sweep
from tests.cluster.running import NoDocuments, ref, stack_on
from tests.cluster.server import FakeCluster

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCluster]:
    fake = FakeCluster(tmp_path_factory.mktemp("cluster"))
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def documents() -> NoDocuments:
    return NoDocuments()


@pytest.fixture(scope="module")
def stack(cluster: FakeCluster, documents: NoDocuments, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesStack]:
    made = stack_on(cluster, tmp_path_factory.mktemp("stack"), documents)
    made.start()
    yield made
    made.stop()


def uids(cluster: FakeCluster, service: str) -> set[str]:
    pods = cluster.store.select("Pod", labels={"app.kubernetes.io/name": service})
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def others(cluster: FakeCluster, service: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in cluster.store.select("Pod")} - uids(cluster, service)


# --- what it is


def test_every_declared_instance_is_ready_and_reached_on_loopback(stack: KubernetesStack) -> None:
    for service, count in stack.info.services.items():
        instances = stack.instances(service)
        assert [instance.name for instance in instances] == [f"{service}-{n + 1}" for n in range(count)]
        for instance in instances:
            assert "@127.0.0.1:" in instance.url or instance.url.startswith("http://127.0.0.1:")
            assert stack.probe(instance) is None, instance.name
    assert stack.entry_url == stack.instances("gateway")[0].url


def test_the_stores_are_filled_from_here(documents: NoDocuments, stack: KubernetesStack) -> None:
    assert documents.filled == {"postgres": stack.instances("postgres")[0].url}


def test_an_operator_finds_all_of_it_and_nothing_more(stack: KubernetesStack) -> None:
    targets = stack.targets()
    registry_file = json.loads(Path(targets["registry"]).read_text(encoding="utf-8"))
    listed = {name: [entry["url"] for entry in entries] for name, entries in registry_file["services"].items()}
    assert listed == {name: [i.url for i in stack.instances(name)] for name in stack.info.services if name not in ("postgres", "cache")}
    assert targets["static"] == {name: [stack.instances(name)[0].url] for name in ("postgres", "cache")}
    assert "chaos" not in json.dumps(targets).lower()


def test_all_of_it_carries_the_label_of_the_run(stack: KubernetesStack, cluster: FakeCluster) -> None:
    made = cluster.store.everything("gauntlet-c0ffee")
    assert len(made) > 50
    assert [one["kind"] for one in made if one["metadata"].get("labels", {}).get(RUN_LABEL) != "c0ffee"] == []


# --- what can be done to it


def test_a_killed_instance_has_another_pod_and_the_same_address(stack: KubernetesStack, cluster: FakeCluster) -> None:
    before, rest = uids(cluster, "retrieval"), others(cluster, "retrieval")
    one, two = stack.instances("retrieval")
    stack.kill("retrieval-1")
    stack.restart("retrieval-1")
    assert [instance.url for instance in stack.instances("retrieval")] == [one.url, two.url]
    assert stack.probe(one) is None
    assert len(uids(cluster, "retrieval") & before) == 1  # the other one stays
    assert others(cluster, "retrieval") == rest


def test_a_stopped_engine_comes_back_under_its_name(stack: KubernetesStack, cluster: FakeCluster) -> None:
    before = uids(cluster, "postgres")
    stack.stop_instance("postgres-1", 1.0)
    stack.restart("postgres-1")
    assert uids(cluster, "postgres").isdisjoint(before)
    assert stack.probe(stack.instances("postgres")[0]) is None


def test_a_service_is_scaled(stack: KubernetesStack) -> None:
    stack.scale("query", 3)
    assert [stack.probe(instance) for instance in stack.instances("query")] == [None, None, None]
    stack.scale("query", 1)
    assert [instance.name for instance in stack.instances("query")] == ["query-1"]
    with pytest.raises(StackError, match="gateway cannot be replicated"):
        stack.scale("gateway", 2)


def test_a_version_is_rolled_out_without_a_gap(stack: KubernetesStack, cluster: FakeCluster) -> None:
    before = uids(cluster, "generation")
    seen = len(cluster.store.events)
    assert stack.deploy("generation", "1.1.0") == "1.0.0"
    assert {instance.version for instance in stack.instances("generation")} == {"1.1.0"}
    assert uids(cluster, "generation").isdisjoint(before)
    ready, least = dict.fromkeys(before, True), len(before)
    for _, what, one in cluster.store.events[seen:]:
        if one["kind"] == "Pod" and one["metadata"]["labels"].get("app.kubernetes.io/name") == "generation":
            told = {condition["type"]: condition["status"] == "True" for condition in one["status"].get("conditions", ())}
            ready[one["metadata"]["uid"]] = what != "DELETED" and "deletionTimestamp" not in one["metadata"] and told.get("Ready", False)
            least = min(least, sum(ready.values()))
    assert least >= 2  # of two
    assert stack.deploy("generation", "1.0.0") == "1.1.0"


def test_a_mock_is_told_by_its_admin_api(stack: KubernetesStack) -> None:
    api = stack.admin("llm")
    found = call(replace(api, url=f"{api.url}/admin"), "PUT", "/faults/slow", {"type": "slow_first_token", "ttft_ms": 4000})
    assert [fault["id"] for fault in found["faults"]] == ["slow"]
    assert "slow" in tables(stack)["admin API of llm"]
    call(replace(api, url=f"{api.url}/admin"), "DELETE", "/faults/slow")
    with pytest.raises(StackError, match="query has no admin API"):
        stack.admin("query")


def test_an_instance_that_is_not_ready_says_why(stack: KubernetesStack, cluster: FakeCluster) -> None:
    (gateway,) = stack.instances("gateway")
    running = next(pod for pod in cluster.kubelet.all() if pod.service == "gateway")
    running.inside.ready = False
    assert stack.probe(gateway) == "HTTP 503: self: not ready"
    running.inside.ready = True
    with pytest.raises(StackError, match=r"no instance 'gateway-2'; there are gateway-1"):
        stack.kill("gateway-2")


# --- faults: what is not believed


def fault(name: str, stack: KubernetesStack, **use: Any) -> Any:
    return registry.build(FaultUse.model_validate({"id": "f", "type": name, **use}), Context(stack, CLOCK, Random(1))).fault


def await_status(made: Any) -> None:
    """Until Chaos Mesh has said something about its object."""
    assert await_(lambda: "conditions" in (made.mesh().find(made.kind, made.object_name).get("status") or {}), 30, CLOCK)


def test_an_object_that_is_not_injected_is_no_evidence(stack: KubernetesStack, cluster: FakeCluster) -> None:
    cluster.mesh.broken.add("NetworkChaos")
    made = fault("network.partition", stack, target="query->retrieval")
    try:
        made.inject()
        await_status(made)
        with pytest.raises(FaultError, match="not injected: the daemon does not answer"):
            made.verify()
    finally:
        cluster.mesh.broken.clear()
        made.heal()


def test_an_object_that_only_says_so_is_no_evidence(stack: KubernetesStack, cluster: FakeCluster) -> None:
    made = fault("network.partition", stack, target="query->retrieval")
    made.inject()
    try:
        await_status(made)
        cluster.kubelet.edges.clear()  # as if its rules had been taken away
        assert made.verify() is None
    finally:
        made.heal()


def test_another_pod_than_was_meant_is_told(stack: KubernetesStack, cluster: FakeCluster) -> None:
    made = fault("resource.cpu_stress", stack, target="query")
    made.inject()
    await_status(made)
    made._pod = ("query-of-another", "uid")
    try:
        with pytest.raises(FaultError, match="which was not meant: query-of-another"):
            made.verify()
    finally:
        made.heal()


def test_only_what_is_selected_is_touched(stack: KubernetesStack, cluster: FakeCluster) -> None:
    made = fault("network.latency", stack, target="retrieval->cache", **{"with": {"delay": "20ms"}})
    made.inject()
    await_status(made)
    wanted = {(cache, caller) for cache in uids(cluster, "cache") for caller in uids(cluster, "retrieval")}  # answers alone
    assert set(cluster.kubelet.edges) == wanted
    made.heal()
    assert cluster.kubelet.edges == {}


def test_what_is_stuck_is_not_gone_and_not_healed(stack: KubernetesStack, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sweep_kubernetes.RECOVERED_WITHIN_S", 0.3)
    made = fault("clock.jump", stack, target="user", **{"with": {"offset": "1h"}})
    made.inject()
    cluster.mesh.stuck.add("TimeChaos")
    try:
        with pytest.raises(FaultError, match="its finalizer is still there"):
            made.heal()
        assert made.gone() is None
        assert not execute(made.undo()[0], cluster.folder).ok
        assert "TimeChaos" in tables(stack)["objects of Chaos Mesh"]
    finally:
        cluster.mesh.stuck.clear()
    made.heal()
    assert tables(stack)["objects of Chaos Mesh"] == ""


def test_without_chaos_mesh_its_faults_fail_and_say_so(stack: KubernetesStack, cluster: FakeCluster) -> None:
    cluster.mesh.installed = False
    try:
        with pytest.raises(FaultError, match="Chaos Mesh is not installed"):
            fault("process.kill", stack, target="query").inject()
    finally:
        cluster.mesh.installed = True


# --- what is refused before anything starts


SCENARIO = """
name: on-a-cluster
stack: {{use: reference, driver: kubernetes, cluster: {{context: fake, images: "r.example/{{image}}:1"}}}}
load: {{shape: [{{constant: 5/s}}]}}
phases: {{steady_state: 30s, fault: 30s}}
faults: [{fault}]
objectives: {{steady_state: {{availability: ">= 90%"}}}}
"""


def said(entry: str) -> list[str]:
    return [str(problem) for problem in check_loaded(load_text(SCENARIO.format(fault=entry)))]


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("{id: f, type: process.pause, target: query, at: fault}", "is not Pausable; `stack: {driver: processes}` can"),
        ("{id: f, type: process.restart_storm, target: query, at: fault}", "is not Placed"),
        ("{id: f, type: http.status, target: query->retrieval, at: fault}", "is not Proxied"),
        (
            "{id: f, type: network.loss, target: query->retrieval, at: fault, with: {rate: 10%, burst: 3}}",
            "cannot be told burst; leave it out",
        ),
    ],
)
def test_what_cannot_be_injected_is_refused_with_what_could(entry: str, wanted: str) -> None:
    (problem,) = said(entry)
    assert wanted in problem
    if "Placed" in wanted or "Proxied" in wanted or "Pausable" in wanted:
        assert "this stack can do" in problem


@pytest.mark.parametrize(
    "entry",
    [
        "{id: f, type: network.latency, target: query->retrieval, at: fault, with: {delay: 100ms}}",
        "{id: f, type: resource.disk_full, target: postgres, at: fault}",
        "{id: f, type: llm.rate_limited, target: llm, at: fault, with: {rate: 1/s}}",
    ],
)
def test_what_can_be_injected_is_accepted_and_needs_no_proxy(entry: str) -> None:
    assert said(entry) == []
    scenario = load_text(SCENARIO.format(fault=entry)).scenario
    assert proxied_edges(scenario) == frozenset() == volumes(scenario)


def test_the_scenario_chooses_context_and_images(tmp_path: Path) -> None:
    spec = StackSpec.model_validate({"driver": "kubernetes", "cluster": {"context": "fake", "images": "r.example/{image}:1"}})
    made = build_stack(spec, run_id="ab", work_dir=tmp_path / "work", logs_dir=tmp_path)
    assert isinstance(made, KubernetesStack)
    assert (made._ref.context, made._release.image("cache")) == ("fake", "r.example/valkey:1")


def test_a_cluster_is_for_its_driver_alone() -> None:
    text = SCENARIO.format(fault="").replace("driver: kubernetes, ", "")
    (problem,) = [str(one) for one in check_loaded(load_text(text)) if "cluster" in one.message]
    assert problem.endswith("add `driver: kubernetes`, or drop `cluster`") and ":3:" in problem


def test_images_have_a_place_for_their_names() -> None:
    with pytest.raises(ScenarioError, match=r"does not say where the name of an image goes: write, e\.g\., registry"):
        load_text(SCENARIO.format(fault="").replace("/{image}", "/image"))


# --- nothing is left


def test_a_start_that_fails_leaves_nothing(cluster: FakeCluster, tmp_path: Path) -> None:
    class Broken(NoDocuments):
        def fill(self, *_: Any) -> None:
            raise StackError("the migration failed")

    made = stack_on(cluster, tmp_path / "stack", Broken(), run_id="broken")
    with pytest.raises(StackError, match="the migration failed"):
        made.start()
    assert [one["metadata"]["name"] for one in cluster.store.select("Namespace", labels={RUN_LABEL: "broken"})] == []
    assert not (tmp_path / "stack" / "work").exists()


def test_no_cluster_is_a_clear_error(tmp_path: Path, cluster: FakeCluster) -> None:
    made = stack_on(cluster, tmp_path / "stack", run_id="nowhere")
    made._ref = replace(ref(cluster), context="elsewhere")
    with pytest.raises(StackError, match="no cluster to work with"):
        made.start()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from harness.faults.lease_files import LeaseFiles
from harness.sweep_kubernetes import note
from harness.cluster import Cluster, ClusterRef
from harness.stack.kubernetes.manifests import namespace, render
from harness.stack.kubernetes.release import Release
work = Path({work!r})
files = LeaseFiles.create("dead01", work, None)
(work / "stack").mkdir()
ref = ClusterRef({kubeconfig!r}, "fake")
note(work / "stack", ref)
cluster = Cluster.connect(ref)
release = Release("gauntlet-dead01", run_id="dead01")
for manifest in render(release)[:6]:
    cluster.create(manifest)
spec = {{"mode": "all", "selector": {{"namespaces": ["gauntlet-dead01"]}}, "action": "pod-kill"}}
meta = release.metadata("batch-0123456789")
cluster.create({{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos", "metadata": meta, "spec": spec}})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_found_by_its_note_and_removed(cluster: FakeCluster, tmp_path: Path, stack: KubernetesStack) -> None:
    """Also where Chaos Mesh does not take back what it did: pods that go anyway are not waited for."""
    work = tmp_path / "gauntlet-dead01"
    root = str(Path(__file__).parents[2])
    program = KILLED.format(root=root, work=str(work), kubeconfig=str(cluster.kubeconfig))
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    theirs = {one["metadata"]["uid"] for one in cluster.store.everything("gauntlet-c0ffee")}
    cluster.mesh.stuck.add("PodChaos")
    holder = Holder("dead01", 1, 0.0, work, None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("harness.sweep_kubernetes.RECOVERED_WITHIN_S", 0.3)
        done = tear_down(holder, CLOCK)
    cluster.mesh.stuck.clear()
    assert (done.ended, done.left) == (("namespace gauntlet-dead01",), ())
    assert not work.exists()
    assert cluster.store.everything("gauntlet-dead01") == []
    assert {one["metadata"]["uid"] for one in cluster.store.everything("gauntlet-c0ffee")} == theirs
    assert stack.probe(stack.instances("query")[0]) is None


def test_where_no_cluster_answers_the_note_stays(tmp_path: Path, cluster: FakeCluster) -> None:
    work = tmp_path / "gauntlet-lost"
    (work / "stack").mkdir(parents=True)
    note(work / "stack", replace(ref(cluster), kubeconfig=str(tmp_path / "nowhere")))
    done = tear_down(Holder("lost", 1, 0.0, work, None), CLOCK)
    assert len(done.left) == 1 and "no cluster to work with" in done.left[0]
    assert (work / "stack" / NOTE).exists()
    assert sweep(tmp_path, "none", CLOCK) == ([], [])  # a run that used no cluster


def test_nothing_is_changed_but_in_namespaces_that_runs_made(cluster: FakeCluster) -> None:
    """By all that was asked of the API server up to here."""
    changed = {path for method, path in cluster.requests if method != "GET"}
    made = {path for path in changed if path == "/api/v1/namespaces"}
    assert len(changed) > 30 and made
    assert [path for path in changed - made if not re.match(r"/apis?/.*/namespaces/gauntlet-\w+(/|$)", path)] == []


def test_the_doctor_says_what_there_is(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    found = doctor._cluster()
    assert (found.mark, found.detail) == ("ok", "the cluster of context fake answers, version v1.37.0-fake; so does Chaos Mesh")
    cluster.mesh.installed = False
    found = doctor._cluster()
    cluster.mesh.installed = True
    assert found.mark == "none" and "Chaos Mesh is not installed there" in found.detail
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    assert "no cluster to work with" in doctor._cluster().detail


def test_it_is_a_stack(stack: KubernetesStack) -> None:
    assert isinstance(stack, Stack)
    with pytest.raises(ClusterError, match="context"):
        Cluster.connect(replace(ref_of(stack), context="elsewhere"))


def ref_of(stack: KubernetesStack) -> Any:
    return stack._ref
