"""The manifests: each fits the API's types, all fit the topology and the compose file, and what is shipped is what is rendered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import cli
from harness.stack.images import deployment
from harness.stack.kubernetes.manifests import as_yaml, render
from harness.stack.kubernetes.release import Manifest, Release, object_name
from harness.stack.kubernetes.secrets import RunSecrets
from harness.stack.options import StackOptions
from harness.stack.topology import topology
from mocks.rag.common.registry import Registry
from tests.cluster.types import misfits

COMPOSE: dict[str, Any] = yaml.safe_load((deployment() / "compose.yaml").read_text(encoding="utf-8"))["services"]
RELEASES = {
    "by hand": Release(),
    "by hand, qdrant": Release(vector_store="qdrant", replicas={"retrieval": 3}),
    "of a run": Release("gauntlet-ab12", run_id="ab12", replicas={"generation": 1}),
}
MANIFESTS = {name: render(release) for name, release in RELEASES.items()}
EVERY = [pytest.param(one, id=f"{name}: {one['kind']} {one['metadata']['name']}") for name, all_ in MANIFESTS.items() for one in all_]


def of_kind(kind: str, name: str = "by hand") -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in MANIFESTS[name] if one["kind"] == kind}


def workloads(name: str = "by hand") -> dict[str, Manifest]:
    return of_kind("Deployment", name) | of_kind("StatefulSet", name)


def templates(name: str = "by hand") -> dict[str, Manifest]:
    found = {one: workload["spec"]["template"]["spec"] for one, workload in workloads(name).items()}
    return found | {one: job["spec"]["template"]["spec"] for one, job in of_kind("Job", name).items()}


@pytest.mark.parametrize("manifest", EVERY)
def test_it_fits_the_types_of_the_api(manifest: Manifest) -> None:
    assert misfits(manifest) == []


def test_a_misfit_is_told_by_its_path() -> None:
    manifest = json.loads(json.dumps(of_kind("Deployment")["query"]))
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePolicy": "Always", "args": "mocks.rag.query"}
    container["resources"]["limits"]["memory"] = "256 megabytes"
    del manifest["spec"]["selector"], container["name"]
    where = "spec.template.spec.containers[0]"
    assert sorted(misfits(manifest)) == [
        "spec.selector: Required value",
        f"{where}.args: expected a list, got str",
        f"{where}.imagePolicy: unknown field",
        f"{where}.name: Required value",
        f"{where}.resources.limits.memory: '256 megabytes' is no quantity",
    ]


def test_the_file_that_is_shipped_is_what_is_rendered() -> None:
    shipped = deployment() / "kubernetes" / "rag.yaml"
    assert shipped.read_text(encoding="utf-8") == as_yaml(Release()), "run pipelines/docs"
    documents = list(yaml.safe_load_all(shipped.read_text(encoding="utf-8")))
    assert documents == json.loads(json.dumps(MANIFESTS["by hand"]))


def test_no_secret_is_written_down() -> None:
    assert of_kind("Secret") == {}
    for name, template in templates().items():
        for container in [*template["containers"], *template.get("initContainers", ())]:
            for variable in container.get("env", ()):
                if re.search(r"PASSWORD|SECRET|TOKEN|API_KEY|DATABASE_URL|REDIS_URL", variable["name"]):
                    assert variable["name"].endswith("_FILE") and variable["value"].startswith("/run/rag/"), name


def test_the_secret_of_a_run_has_all_that_is_mounted(tmp_path: Path) -> None:
    release = RELEASES["of a run"]
    secret = RunSecrets.fresh().manifest(release, StackOptions("ab12", tmp_path, tmp_path))
    assert misfits(secret) == []
    wanted = re.findall(r"/run/rag/([\w.]+)", json.dumps(MANIFESTS["of a run"]))
    assert set(wanted) <= set(secret["stringData"])


def test_every_service_of_the_topology_runs() -> None:
    for name, release in RELEASES.items():
        assert set(workloads(name)) == {object_name(service) for service in release.topology.services}
        for service in release.topology.services.values():
            container = workloads(name)[object_name(service.name)]["spec"]["template"]["spec"]["containers"][0]
            given = {variable["name"] for variable in container["env"]}
            assert all(variable in given or f"{variable}_FILE" in given for variable in service.variables), service.name


def test_replicas_are_those_that_are_asked_for() -> None:
    assert workloads("of a run")["generation"]["spec"]["replicas"] == 1
    assert workloads("of a run")["retrieval"]["spec"]["replicas"] == 2
    scaled = of_kind("HorizontalPodAutoscaler", "by hand, qdrant")
    assert scaled["retrieval"]["spec"]["minReplicas"] == 3
    for name in scaled:
        assert "replicas" not in workloads()[name]["spec"]  # it is the autoscaler's


def test_limits_are_those_of_the_compose_file() -> None:
    for service in topology().services:
        hosts = [host for host in COMPOSE if host == service or re.fullmatch(rf"{service}-\d", host)]
        limits = COMPOSE[hosts[0]]["deploy"]["resources"]["limits"]
        container = workloads()[object_name(service)]["spec"]["template"]["spec"]["containers"][0]
        of_pod = container["resources"]["limits"]
        assert (float(of_pod["cpu"]), of_pod["memory"]) == (float(limits["cpus"]), limits["memory"].replace("M", "Mi")), service
        assert container["args"] == [str(word) for word in COMPOSE[hosts[0]]["command"]], service


@pytest.mark.parametrize("name", sorted(templates()))
def test_every_pod_is_confined(name: str) -> None:
    template = templates()[name]
    assert template["automountServiceAccountToken"] is False and template["enableServiceLinks"] is False
    assert template["securityContext"]["runAsNonRoot"] is True and template["securityContext"]["seccompProfile"]
    for container in [*template["containers"], *template.get("initContainers", ())]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}
        named = {mount["name"] for mount in container["volumeMounts"]}
        claimed = workloads().get(name, {"spec": {}})["spec"].get("volumeClaimTemplates", [])
        assert named <= {volume["name"] for volume in template["volumes"]} | {claim["metadata"]["name"] for claim in claimed}


@pytest.mark.parametrize("name", sorted(workloads()))
def test_every_pod_is_asked_whether_it_is_started_alive_and_ready(name: str) -> None:
    container = workloads()[name]["spec"]["template"]["spec"]["containers"][0]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    if "httpGet" in container["livenessProbe"]:
        assert container["livenessProbe"]["httpGet"]["path"] == "/health"
        assert container["readinessProbe"]["httpGet"]["path"] == "/ready"


def test_what_has_several_pods_keeps_one_while_nodes_are_drained() -> None:
    assert set(of_kind("PodDisruptionBudget")) == {"retrieval", "generation"}
    assert set(of_kind("PodDisruptionBudget", "of a run")) == {"retrieval"}


def test_every_workload_has_a_recommender_and_no_second_autoscaler() -> None:
    recommenders = of_kind("VerticalPodAutoscaler")
    assert set(recommenders) == set(workloads())
    assert {one["spec"]["updatePolicy"]["updateMode"] for one in recommenders.values()} == {"Off"}
    assert of_kind("VerticalPodAutoscaler", "of a run") == of_kind("HorizontalPodAutoscaler", "of a run") == {}


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_pods_talk_along_the_edges_and_nowhere_else(name: str) -> None:
    """Both ends allow what the topology has; what one end allows beyond is for watching, users, and the job that fills the stores."""
    release = RELEASES[name]
    policies = of_kind("NetworkPolicy", name)
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    names = {object_name(service): service for service in release.topology.services}
    out, into = set(), set()
    for policy in policies.values():
        own = names.get(policy["metadata"]["name"])
        for rule in policy["spec"].get("egress", ()):
            out |= {(own, names[_app(peer)]) for peer in rule.get("to", ()) if own is not None}
        for rule in policy["spec"].get("ingress", ()):
            into |= {(names[_app(peer)], own) for peer in rule.get("from", ()) if "podSelector" in peer and _app(peer) in names}
    assert out == into == set(release.topology.edges)


def _app(peer: Manifest) -> str:
    return peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"].replace("_", "-")


def test_names_lead_to_pods(tmp_path: Path) -> None:
    services = of_kind("Service")
    assert set(services) == set(workloads()) | {"public"}
    assert {name for name, one in services.items() if one["spec"].get("clusterIP") == "None"} == set(workloads())
    path = tmp_path / "registry.json"
    path.write_text(of_kind("ConfigMap")["rag-config"]["data"]["registry.json"], encoding="utf-8")
    registry = Registry(path)
    assert registry.revision == 1
    for service in topology().services.values():
        found = [instance.url for instance in registry.instances(service.name)]
        assert found == ([f"http://{object_name(service.name)}:8080"] if service.in_registry else [])
        pods = workloads()[object_name(service.name)]["spec"]["template"]["metadata"]["labels"].items()
        assert services[object_name(service.name)]["spec"]["selector"].items() <= pods


def test_what_keeps_data_has_a_claim() -> None:
    assert set(of_kind("StatefulSet")) == {"postgres", "cache", "document"}
    assert set(of_kind("StatefulSet", "by hand, qdrant")) == {"postgres", "cache", "document", "vector"}
    for one in of_kind("StatefulSet").values():
        (claim,) = one["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--images", "rag:1"], "does not say where the name of an image goes"),
        (["--replicas", "gateway=2"], "gateway cannot be replicated"),
        (["--replicas", "nobody=2"], "no service 'nobody'"),
        (["--replicas", "retrieval"], "is no number of a service's pods"),
        (["--namespace", "Rag"], "is no name of a namespace"),
    ],
)
def test_what_cannot_be_rendered_is_refused(options: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["kubernetes", "render", *options])
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_the_command_prints_what_was_asked_for() -> None:
    done = CliRunner().invoke(
        cli, ["kubernetes", "render", "--namespace", "shop", "--images", "r.example/{image}:7", "--replicas", "query=3"]
    )
    documents = list(yaml.safe_load_all(done.output))
    assert {one["metadata"].get("namespace", one["metadata"]["name"]) for one in documents} == {"shop"}
    images = set(re.findall(r"image: (\S+)", done.output))
    assert images == {"r.example/services:7", "r.example/postgres:7", "r.example/valkey:7"}
    (scaler,) = (one for one in documents if one["kind"] == "HorizontalPodAutoscaler" and one["metadata"]["name"] == "query")
    assert scaler["spec"]["minReplicas"] == 3
