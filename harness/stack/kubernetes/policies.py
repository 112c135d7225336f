"""What is allowed and wanted: autoscalers, disruption budgets, and who may talk to whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.stack.kubernetes.pods import SIZE, SIZES
from harness.stack.kubernetes.release import CONTAINER, Manifest, Release, object_name, port_of
from harness.stack.kubernetes.workloads import GATEWAY, MIGRATE, SCALED, is_stateful
from harness.stack.topology import MOST_REPLICAS, Service

BUSY_PERCENT = 70
SLOW_DOWN_S = 300
MONITORING = "monitoring"
"""The namespace from which metrics are asked for."""
DNS_PORT = 53


def autoscaler(release: Release, service: Service) -> Manifest:
    """More pods where those that are there have much to do; fewer only after a while."""
    replicas = release.topology.declared_replicas(release.replicas)[service.name]
    spec = {
        "scaleTargetRef": _target(service),
        "minReplicas": replicas,
        "maxReplicas": max(replicas, MOST_REPLICAS),
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": BUSY_PERCENT}}},
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": SLOW_DOWN_S}},
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", release, service, spec)


def recommender(release: Release, service: Service) -> Manifest:
    """Says what a pod should ask for, and changes nothing: a second autoscaler on the same processors would fight the first."""
    size = SIZES.get(service.name, SIZE)
    policy = {
        "containerName": CONTAINER,
        "minAllowed": {"cpu": "50m", "memory": "64Mi"},
        "maxAllowed": {"cpu": size.cpu, "memory": size.memory},
        "controlledResources": ["cpu", "memory"],
    }
    spec = {"targetRef": _target(service), "updatePolicy": {"updateMode": "Off"}, "resourcePolicy": {"containerPolicies": [policy]}}
    return _object("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", release, service, spec)


def disruption_budget(release: Release, service: Service) -> Manifest:
    """While nodes are drained, all pods of a service but one stay."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": release.selector(service.name)}}
    return _object("policy/v1", "PodDisruptionBudget", release, service, spec)


def network_policies(release: Release) -> Iterator[Manifest]:
    """Nobody talks to anybody, except along the edges of the topology, to the names of the cluster, and to be watched."""
    everybody = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    yield _policy(release, "default-deny", everybody)
    dns = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    yield _policy(release, "names", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": dns}]})
    for service in release.topology.services.values():
        yield _policy(release, object_name(service.name), _of_service(release, service))
    if release.by_hand:
        stores = [name for name, service in release.topology.services.items() if service.kind in ("postgres", "vector")]
        spec = {"podSelector": {"matchLabels": release.selector(MIGRATE)}, "policyTypes": ["Egress"], "egress": _to(release, stores)}
        yield _policy(release, MIGRATE, spec)


def _of_service(release: Release, service: Service) -> Manifest:
    edges = release.topology.edges
    callers = [caller for caller, callee in edges if callee == service.name]
    if release.by_hand and service.kind in ("postgres", "vector"):
        callers.append(MIGRATE)
    callees = [callee for caller, callee in edges if caller == service.name]
    asked = [{"port": port_of(service.name)}]
    incoming: list[Manifest] = []
    if callers:
        incoming.append({"from": [_pods(release, caller) for caller in callers], "ports": asked})
    if service.in_registry:
        incoming.append({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}], "ports": asked})
    if service.name == GATEWAY:
        incoming.append({"ports": asked})
    spec: Manifest = {
        "podSelector": {"matchLabels": release.selector(service.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": incoming,
    }
    return {**spec, "egress": _to(release, callees)}


def _to(release: Release, callees: Sequence[str]) -> list[Manifest]:
    return [{"to": [_pods(release, callee)], "ports": [{"port": port_of(callee)}]} for callee in callees]


def _pods(release: Release, service: str) -> Manifest:
    return {"podSelector": {"matchLabels": release.selector(service)}}


def _policy(release: Release, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": release.metadata(name), "spec": spec}


def _target(service: Service) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "StatefulSet" if is_stateful(service) else "Deployment", "name": object_name(service.name)}


def _object(version: str, kind: str, release: Release, service: Service, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": release.metadata(object_name(service.name), service.name), "spec": spec}


def wanted(release: Release) -> Iterator[Manifest]:
    """All of a release."""
    for service in release.topology.services.values():
        replicas = release.topology.declared_replicas(release.replicas)[service.name]
        if release.by_hand and service.name in SCALED:
            yield autoscaler(release, service)
        if release.by_hand:
            yield recommender(release, service)
        if replicas > 1:
            yield disruption_budget(release, service)
    yield from network_policies(release)
