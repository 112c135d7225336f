"""What is wrong with Kubernetes manifests: the objects of all files together, since they refer to one another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from harness.audit.compose import OWNERS_OF_HOSTS
from harness.audit.known import Image, keeps_state, product, role, secret, unlocked
from harness.audit.objects import SCALERS, Cluster, Object, Workload, aims_at, workloads
from harness.audit.reading import Part
from harness.audit.rules import Remark

_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_RUNS_FOR_EVER = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_REPLICATED = ("Deployment", "StatefulSet", "ReplicaSet")
_VAIN = re.compile(r"^\s*(?:true|:|exit 0)\s*$|\|\|\s*(?:true|:|exit 0)\s*$|;\s*(?:true|exit 0)\s*$")


Found = Iterator[tuple[str, Remark]]


def review(objects: Sequence[Object]) -> Found:
    """(file, what is wrong), for everything that is wrong with these objects."""
    cluster = Cluster(objects, workloads(objects))
    for workload in cluster.workloads:
        for rule in _OF_PODS:
            yield from rule(workload)
        for container in (*workload.pod.each("initContainers"), *workload.containers):
            yield from _container(workload, container)
        if workload.object.kind in _RUNS_FOR_EVER:
            for container in workload.containers:
                yield from _lasting_container(workload, container)
            yield from _availability(workload, cluster)
    for one in objects:
        yield from _content(one)
        yield from _routing(one, cluster)
    yield from _scaling(cluster)
    yield from _unguarded(cluster)


def _isolation(one: Workload) -> Found:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if one.pod.text(key) == "true":
            yield one.remark("host_namespace", one.pod.key_at(key), f" ({key})")
    for volume in one.pod.each("volumes"):
        path = volume.text("hostPath", "path")
        if path.endswith(_SOCKETS):
            yield one.remark("docker_socket", volume.at)
        elif path:
            yield one.remark("host_path", volume.at, f" ({path})")
    if one.pod.text("automountServiceAccountToken") != "false" and not one.pod.has("serviceAccountName"):
        yield one.remark("service_account_token")


def _ending(one: Workload) -> Found:
    if one.pod.text("terminationGracePeriodSeconds") == "0":
        yield one.remark("killed_at_once", one.pod.key_at("terminationGracePeriodSeconds"))
    if one.object.kind == "Pod":
        yield one.remark("bare_pod")
    elif one.object.kind in _RUNS_FOR_EVER and one.pod.text("restartPolicy") not in ("", "Always"):
        yield one.remark("no_restart", one.pod.key_at("restartPolicy"))


_OF_PODS: tuple[Callable[[Workload], Found], ...] = (_isolation, _ending)


def _container(one: Workload, container: Part) -> Found:
    image, name = Image(container.text("image")), container.text("name")
    if image.mutable:
        yield one.remark("mutable_tag", container.key_at("image"), f" ({image.text})")
    yield from _privileges(one, container)
    environment = {entry.text("name"): entry.text("value") for entry in container.each("env")}
    for entry in container.each("env"):
        if secret(entry.text("name"), entry.text("value")):
            yield one.remark("plain_secret", entry.at, f" ({entry.text('name')})")
    known = product(image, name)
    if role(known) == "store" and not container.has("envFrom"):
        why = unlocked(known, environment, [*container.words("command"), *container.words("args")])
        if why:
            yield one.remark("unlocked_store", container.at, f": {why}")


def _privileges(one: Workload, container: Part) -> Found:
    own = container.get("securityContext") or Part({}, container.at)
    pod = one.pod.get("securityContext") or Part({}, container.at)
    if own.text("privileged") == "true":
        yield one.remark("privileged", own.key_at("privileged"))
    for cap in own.each("capabilities", "add"):
        if cap.text().upper().removeprefix("CAP_") in OWNERS_OF_HOSTS:
            yield one.remark("capability", cap.at, f" ({cap.text()})")
    user = next((context for context in (own, pod) if context.has("runAsUser")), None)
    if user is not None and user.text("runAsUser") == "0":
        yield one.remark("root_user", user.key_at("runAsUser"))
    elif (own.text("runAsNonRoot") or pod.text("runAsNonRoot")) != "true" and user is None:
        yield one.remark("may_be_root", container.at)
    if own.text("allowPrivilegeEscalation") != "false":
        yield one.remark("privilege_escalation", container.at)
    if own.text("readOnlyRootFilesystem") != "true":
        yield one.remark("writable_root", container.at)


def _lasting_container(one: Workload, container: Part) -> Found:
    if container.has("ports") and not container.has("readinessProbe"):
        yield one.remark("no_readiness_probe", container.at)
    if not container.has("livenessProbe"):
        yield one.remark("no_liveness_probe", container.at)
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        command = container.words(probe, "exec", "command")
        if command and _VAIN.search(command[-1] if command[0].endswith("sh") else " ".join(command)):
            yield one.remark("vain_probe", container.key_at(probe), f" ({probe})")
    if not container.has("resources", "limits", "memory"):
        yield one.remark("no_memory_limit", container.at)
    if not all(_asks(container, what) for what in ("cpu", "memory")):
        yield one.remark("no_requests", container.at)


def _availability(one: Workload, cluster: Cluster) -> Found:
    store = role(one.product) == "store"
    spec = one.object.part.get("spec") or one.object.part
    scaler = cluster.scaler(one)
    if one.object.kind in _REPLICATED:
        yield from _replicas(one, scaler, cluster, store=store)
    strategy = spec.get("strategy")
    taken = spec.text("strategy", "rollingUpdate", "maxUnavailable")
    if strategy is not None and one.replicas > 1 and (strategy.text("type") == "Recreate" or taken == "100%"):
        yield one.remark("abrupt_rollout", spec.key_at("strategy"))
    claimed = spec.has("volumeClaimTemplates") or any(volume.has("persistentVolumeClaim") for volume in one.pod.each("volumes"))
    if keeps_state(one.product) and not claimed:
        yield one.remark("forgetful_store")


def _replicas(one: Workload, scaler: Object | None, cluster: Cluster, *, store: bool) -> Found:
    least = scaler.part.text("spec", "minReplicas") or scaler.part.text("spec", "minReplicaCount") if scaler is not None else ""
    replicas = int(least) if least.isdecimal() else one.replicas
    if replicas < 2:
        yield one.remark("single_store" if store else "single_replica")
        return
    if not (one.pod.has("topologySpreadConstraints") or one.pod.has("affinity", "podAntiAffinity")):
        yield one.remark("no_spread")
    budgets = [b for b in cluster.of("PodDisruptionBudget") if any(w is one for w in cluster.selected(b, "spec", "selector"))]
    if not budgets:
        yield one.remark("no_disruption_budget")
    for budget in budgets:
        allowed, kept = budget.part.text("spec", "maxUnavailable"), budget.part.text("spec", "minAvailable")
        if allowed in ("0", "0%") or kept == "100%" or (kept.isdecimal() and int(kept) >= replicas):
            yield budget.remark("blocking_budget", detail=f" ({one.object.subject} has {replicas})")


def _content(one: Object) -> Found:
    if one.kind == "Secret":
        for key in ("data", "stringData"):
            if any(value.text() for _, value, _ in one.part.items(key)):
                yield one.remark("committed_secret", one.part.key_at(key))
    elif one.kind == "ConfigMap":
        for name, value, at in one.part.items("data"):
            if secret(name, value.text()):
                yield one.remark("secret_in_config", at, f" ({name})")


def _routing(one: Object, cluster: Cluster) -> Found:
    if one.kind == "Ingress" and not one.part.has("spec", "tls"):
        yield one.remark("plain_ingress")
    if one.kind != "Service" or not one.part.has("spec", "selector"):
        return
    pods = cluster.selected(one, "spec", "selector")
    spec = one.part.get("spec") or one.part
    if not pods:
        yield one.remark("service_without_pods", spec.key_at("selector"))
        return
    if one.part.text("spec", "type") in ("NodePort", "LoadBalancer"):
        for pod in pods:
            rule = {"store": "exposed_store", "dashboard": "exposed_dashboard"}.get(role(pod.product))
            if rule:
                yield one.remark(rule, spec.key_at("type"), f" ({pod.object.subject})")
    named = {port.text("name") for pod in pods for container in pod.containers for port in container.each("ports")}
    for port in one.part.each("spec", "ports"):
        target = port.text("targetPort")
        if target and not target.isdecimal() and target not in named:
            yield one.remark("service_port", port.key_at("targetPort"), f" ({target})")


def _scaling(cluster: Cluster) -> Found:
    for scaler in cluster.of(*SCALERS):
        workload = next((one for one in cluster.workloads if aims_at(scaler, one)), None)
        if workload is None:
            yield scaler.remark("unknown_scale_target")
            continue
        spec = workload.object.part.get("spec") or workload.object.part
        if spec.has("replicas"):
            yield workload.remark("replicas_fought_over", spec.key_at("replicas"))
        for metric in scaler.part.each("spec", "metrics"):
            what = metric.text("resource", "name")
            if metric.text("resource", "target", "type") == "Utilization" and not _requested(workload, what):
                yield scaler.remark("blind_autoscaler", metric.at, f" ({what} of {workload.object.subject})")
    for workload in cluster.workloads:
        if workload.object.kind == "Deployment" and role(workload.product) == "service" and cluster.scaler(workload) is None:
            yield workload.remark("no_autoscaler")


def _requested(workload: Workload, what: str) -> bool:
    return all(_asks(container, what) for container in workload.containers)


def _asks(container: Part, what: str) -> bool:
    """A limit alone is the request, too."""
    return container.has("resources", "requests", what) or container.has("resources", "limits", what)


def _unguarded(cluster: Cluster) -> Found:
    guarded = {id(one) for policy in cluster.of("NetworkPolicy") for one in cluster.selected(policy, "spec", "podSelector")}
    for workload in cluster.workloads:
        if id(workload) not in guarded:
            yield workload.remark("no_network_policy")
