"""The stand-in for a cluster answers the official client as an API server does: what it takes, refuses, versions, watches and lets go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from harness.cluster import CHAOS_GROUP, Cluster, ClusterError, ClusterRef, conditions
from harness.record.clock import SystemClock
from harness.stack.kubernetes.manifests import namespace
from harness.stack.kubernetes.release import Release
from harness.stack.kubernetes.workloads import services, workload
from harness.stack.topology import topology
from harness.sweep_kubernetes import await_
from tests.cluster.running import ref
from tests.cluster.server import FakeCluster

SPACE = "rag"
RELEASE = Release(run_id="api")
QUERY = topology().services["query"]
PATCHED = {"metadata": {"annotations": {"note": "1"}}}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCluster]:
    made = FakeCluster(tmp_path_factory.mktemp("cluster"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cluster(fake: FakeCluster) -> Cluster:
    made = Cluster.connect(ref(fake))
    made.create(namespace(RELEASE))
    made.create(workload(RELEASE, QUERY))
    assert await_(lambda: len(ready(made)) == 1, 30, SystemClock())
    return made


def ready(cluster: Cluster) -> list[Any]:
    return [pod for pod in cluster.select("Pod", SPACE, RELEASE.selector("query")) if conditions(pod).get("Ready")]


def service(name: str) -> dict[str, Any]:
    (made,) = services(RELEASE, QUERY)
    return {**made, "metadata": {**made["metadata"], "name": name}}


def chaos(**spec: Any) -> dict[str, Any]:
    common = {"mode": "all", "selector": {"namespaces": [SPACE]}, "action": "pod-kill"}
    return {"apiVersion": CHAOS_GROUP, "kind": "PodChaos", "metadata": {"name": "c", "namespace": SPACE}, "spec": {**common, **spec}}


def test_versions_of_objects_grow_and_specs_have_generations(cluster: Cluster) -> None:
    made = cluster.create(service("versions"))
    noted = cluster.patch("Service", SPACE, "versions", PATCHED)
    ported = cluster.patch("Service", SPACE, "versions", {"spec": {"type": "ClusterIP"}})
    versions = [int(one["metadata"]["resourceVersion"]) for one in (made, noted, ported)]
    assert sorted(set(versions)) == versions
    assert [one["metadata"]["generation"] for one in (made, noted, ported)] == [1, 1, 2]
    assert len({one["metadata"]["uid"] for one in (made, noted, ported)}) == 1
    assert cluster.delete("Service", SPACE, "versions") is True
    assert cluster.find("Service", SPACE, "versions") is None
    assert cluster.delete("Service", SPACE, "versions") is False


def test_labels_select(cluster: Cluster) -> None:
    assert len(cluster.select("Pod", SPACE, RELEASE.selector("query"))) == 1
    assert cluster.select("Pod", SPACE, RELEASE.selector("gateway")) == []
    assert len(cluster.select("Deployment")) == 1  # of all namespaces


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({**service("a"), "spec": {"clusterip": "None"}}, 400, "strict decoding error: spec.clusterip: unknown field"),
        ({**service("a"), "spec": {"ports": "8080"}}, 400, "spec.ports: expected a list"),
        ({**service("A_b")}, 422, "must be a lowercase RFC 1123 label"),
        ({**workload(RELEASE, QUERY), "spec": {"template": {}}}, 422, "spec.selector: Required value"),
        ({**workload(RELEASE, QUERY)}, 409, "already exists"),
        (chaos(action="pod-kil"), 422, "spec.action: Unsupported value: 'pod-kil'"),
        (chaos(gracePeriod="0"), 422, "spec.gracePeriod: Invalid value"),
        (chaos(gracePeriods=0), 400, "spec.gracePeriods: unknown field"),
        (chaos(duration="soon"), 422, "not a duration"),
        ({**service("a"), "metadata": {"name": "a", "namespace": "nowhere"}}, 404, 'namespaces "nowhere" not found'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_with_a_status(cluster: Cluster, document: dict[str, Any], status: int, said: str) -> None:
    with pytest.raises(ClusterError) as refused:
        cluster.create(document)
    assert (refused.value.status, said in str(refused.value)) == (status, True), refused.value


def test_who_is_not_known_is_refused(fake: FakeCluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "kubeconfig"
    other.write_text(fake.kubeconfig.read_text().replace(fake.token, "stolen"))
    with pytest.raises(ClusterError, match="Unauthorized"):
        Cluster.connect(ClusterRef(str(other))).version()


def test_a_stale_version_is_a_conflict(cluster: Cluster, fake: FakeCluster) -> None:
    from kubernetes.client import AppsV1Api
    from kubernetes.client.exceptions import ApiException

    api = AppsV1Api(cluster._client.client)
    found = cluster.find("Deployment", SPACE, "query")
    cluster.patch("Deployment", SPACE, "query", PATCHED)
    with pytest.raises(ApiException) as refused:
        api.replace_namespaced_deployment("query", SPACE, found)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")


def test_watches_tell_what_comes_and_goes(cluster: Cluster) -> None:
    from kubernetes.client import CoreV1Api
    from kubernetes.watch import Watch

    api = CoreV1Api(cluster._client.client)
    since = api.list_namespaced_service(SPACE).metadata.resource_version
    cluster.create(service("watched"))
    cluster.patch("Service", SPACE, "watched", PATCHED)
    cluster.delete("Service", SPACE, "watched")
    told = []
    watch = Watch()
    for event in watch.stream(api.list_namespaced_service, SPACE, resource_version=since, timeout_seconds=20):
        told.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watch.stop()
    assert told == [("ADDED", "watched"), ("MODIFIED", "watched"), ("MODIFIED", "watched"), ("DELETED", "watched")]


def test_a_deployment_keeps_its_pods(cluster: Cluster) -> None:
    clock = SystemClock()
    (before,) = ready(cluster)
    cluster.delete("Pod", SPACE, before["metadata"]["name"], 0)
    assert await_(lambda: [pod["metadata"]["uid"] for pod in ready(cluster)] not in ([], [before["metadata"]["uid"]]), 30, clock)
    cluster.patch("Deployment", SPACE, "query", {"spec": {"replicas": 3}})
    assert await_(lambda: len(ready(cluster)) == 3, 30, clock)
    cluster.patch("Deployment", SPACE, "query", {"spec": {"replicas": 1}})
    assert await_(lambda: len(cluster.select("Pod", SPACE)) == 1, 30, clock)


def test_programs_run_in_pods_and_tell_how_they_ended(cluster: Cluster) -> None:
    (pod,) = ready(cluster)
    name = pod["metadata"]["name"]
    assert cluster.run(SPACE, name, "main", ["python3", "-c", "print(6 * 7)"]) == "42\n"
    with pytest.raises(ClusterError, match="exit status 3: no"):
        cluster.run(SPACE, name, "main", ["python3", "-c", "import sys; print('no'); sys.exit(3)"])
    with pytest.raises(ClusterError, match="exit status 126"):
        cluster.run(SPACE, name, "main", ["bash"])
    with pytest.raises(ClusterError):
        cluster.run(SPACE, "nobody", "main", ["python3", "-c", ""])


def test_ports_of_pods_are_reached(cluster: Cluster) -> None:
    (pod,) = ready(cluster)
    with closing(cluster.dial(SPACE, pod["metadata"]["name"], 8080)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    with closing(cluster.dial(SPACE, pod["metadata"]["name"], 9)) as connection:
        assert connection.recv(1) == b""  # nobody listens there
    assert "query starts" in cluster.log(SPACE, pod["metadata"]["name"], "main", 10)


def test_a_finalizer_keeps_an_object_until_it_is_gone(cluster: Cluster, fake: FakeCluster) -> None:
    fake.mesh.stuck.add("PodChaos")
    cluster.create(chaos(selector={"namespaces": ["elsewhere"]}))
    assert await_(lambda: bool(cluster.find("PodChaos", SPACE, "c")["metadata"].get("finalizers")), 30, SystemClock())  # type: ignore[index]
    cluster.delete("PodChaos", SPACE, "c")
    found = cluster.find("PodChaos", SPACE, "c")
    assert found is not None and "deletionTimestamp" in found["metadata"]
    fake.mesh.stuck.clear()
    assert await_(lambda: cluster.find("PodChaos", SPACE, "c") is None, 30, SystemClock())


def test_what_is_not_installed_is_not_served(cluster: Cluster, fake: FakeCluster) -> None:
    assert cluster.serves(CHAOS_GROUP) and cluster.serves("apps/v1")
    fake.mesh.installed = False
    try:
        assert not cluster.serves(CHAOS_GROUP)
    finally:
        fake.mesh.installed = True


def test_a_namespace_takes_all_it_holds_with_it(cluster: Cluster) -> None:
    cluster.create(namespace(Release("other", run_id="api")))
    cluster.create({**service("held"), "metadata": {"name": "held", "namespace": "other"}})
    cluster.delete("Namespace", None, "other")
    with pytest.raises(ClusterError, match=r"being terminated|not found"):
        cluster.create({**service("late"), "metadata": {"name": "late", "namespace": "other"}})
    assert await_(lambda: cluster.find("Namespace", None, "other") is None, 30, SystemClock())
    assert cluster.find("Service", "other", "held") is None


def test_nobody_answers() -> None:
    with pytest.raises(ClusterError, match="no cluster to work with"):
        Cluster.connect(ClusterRef("/nowhere/kubeconfig"))
