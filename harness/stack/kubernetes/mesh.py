"""The capability `Meshed`: objects of Chaos Mesh in the namespace of a run, and looks at its pods that ask somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from harness.cluster import CHAOS_GROUP, Cluster, ClusterError, ClusterRef
from harness.record.clock import Clock
from harness.stack.base import StackError
from harness.stack.kubernetes.pods import data_folder
from harness.stack.kubernetes.release import CONTAINER, Release, object_name, port_of
from harness.stack.kubernetes.slots import Pod
from harness.sweep_kubernetes import RECOVERED_WITHIN_S, chaos_in, remove_chaos


class ClusterMesh:
    """Safe for several threads."""

    def __init__(
        self,
        cluster: Cluster,
        ref: ClusterRef,
        release: Release,
        pod_of: Callable[[str], Pod],
        pods: Callable[[str], list[Pod]],
        clock: Clock,
    ) -> None:
        """`pod_of` is the pod that is an instance now, `pods` are all of a service; both raise StackError."""
        self._cluster = cluster
        self._ref = ref
        self._release = release
        self._pod_of = pod_of
        self._pods = pods
        self._clock = clock

    def place(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        metadata = self._release.metadata(name)
        with told(f"making the {kind} {name}"):
            self._cluster.create({"apiVersion": CHAOS_GROUP, "kind": kind, "metadata": metadata, "spec": dict(spec)})

    def find(self, kind: str, name: str) -> Mapping[str, Any] | None:
        with told(f"looking at the {kind} {name}"):
            return self._cluster.find(kind, self._release.namespace, name)

    def lift(self, kind: str, name: str) -> None:
        with told(f"deleting the {kind} {name}"):
            if not remove_chaos(self._cluster, self._release.namespace, kind, name, self._clock):
                raise StackError(f"the {kind} {name} is not taken back after {RECOVERED_WITHIN_S:g} s: its finalizer is still there")

    def objects(self) -> Sequence[str]:
        with told("looking for objects of Chaos Mesh"):
            return [f"{kind} {name}" for kind, name in chaos_in(self._cluster, self._release.namespace)]

    def undo(self, kind: str, name: str) -> Mapping[str, Any]:
        return {**asdict(self._ref), "namespace": self._release.namespace, "kind": kind, "name": name}

    def selector(self, service: str, instance: str | None = None) -> Mapping[str, Any]:
        namespace = self._release.namespace
        if instance is not None:
            return {"pods": {namespace: [self._pod_of(instance).name]}}
        return {"namespaces": [namespace], "labelSelectors": self._release.selector(service)}

    def pods(self, service: str) -> Mapping[str, str]:
        return {pod.uid: pod.name for pod in self._pods(service)}

    def pod(self, instance: str) -> tuple[str, str]:
        pod = self._pod_of(instance)
        return pod.name, pod.uid

    def addresses(self, service: str) -> Sequence[str]:
        return [pod.address for pod in self._pods(service) if pod.address]

    def inside(self, service: str) -> tuple[str, int]:
        return f"{object_name(service)}.{self._release.namespace}.svc.cluster.local", port_of(service)

    def data_folder(self, service: str) -> str:
        folder = data_folder(self._release.topology.services[service])
        if folder is None:
            raise StackError(f"{service} keeps no data")
        return folder

    def run(self, instance: str, argv: Sequence[str], timeout_s: float) -> str:
        with told(f"running {argv[0]} in {instance}"):
            return self._cluster.run(self._release.namespace, self._pod_of(instance).name, CONTAINER, argv, timeout_s)


@contextmanager
def told(what: str) -> Iterator[None]:
    """A ClusterError as the StackError that says what was tried."""
    try:
        yield
    except ClusterError as error:
        raise StackError(f"{what}: {error}") from error
