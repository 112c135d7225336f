"""The instances of a run on a cluster: pods by their numbers, and the ports of this machine at which each of them is reached."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence

from harness.cluster import Cluster
from harness.stack.base import Instance, StackError
from harness.stack.containers.launch import ENGINES
from harness.stack.kubernetes.forward import Forward
from harness.stack.kubernetes.mesh import told
from harness.stack.kubernetes.release import CONTAINER, Release, port_of
from harness.stack.kubernetes.secrets import RunSecrets
from harness.stack.kubernetes.slots import Pod, Slots
from harness.stack.ports import LOOPBACK
from harness.stack.registry import RegistryFile
from harness.stack.topology import instance_name


class Instances:
    """Safe for several threads. Every method asks the cluster, and raises StackError where it does not answer."""

    def __init__(
        self, cluster: Cluster, release: Release, secrets: RunSecrets, registry: RegistryFile, replicas: Mapping[str, int]
    ) -> None:
        """`registry` is told where each service's instances are reached."""
        self._cluster = cluster
        self._release = release
        self._secrets = secrets
        self._registry = registry
        self._replicas = dict(replicas)
        self._slots = Slots()
        self._lock = threading.Lock()  # of the forwards
        self._forwards: dict[tuple[str, int], Forward] = {}  # by instance and port

    def of(self, service: str) -> Sequence[Instance]:
        """The declared ones, with a pod or without."""
        return [self._describe(service, number, pod) for number, pod in self._assigned(service).items()]

    def get(self, name: str) -> Instance:
        """Raises StackError that says which there are."""
        service = name.rpartition("-")[0]
        present = self.of(service) if service in self._replicas else []
        for instance in present:
            if instance.name == name:
                return instance
        raise StackError(f"no instance {name!r}; there are {', '.join(i.name for i in present) or ', '.join(self._replicas)}")

    def declare(self, service: str, replicas: int) -> None:
        """There are to be so many from now on."""
        before, self._replicas[service] = self._replicas[service], replicas
        for number in range(replicas + 1, before + 1):
            self._registry.withdraw(service, instance_name(service, number))

    def slot(self, instance: str) -> Pod | None:
        """The pod that is the instance now."""
        service, _, number = instance.rpartition("-")
        return self._assigned(service).get(int(number))

    def pod_of(self, instance: str) -> Pod:
        """Raises StackError where it has none."""
        self.get(instance)
        pod = self.slot(instance)
        if pod is None:
            raise StackError(f"{instance} has no pod at the moment")
        return pod

    def pods(self, service: str) -> list[Pod]:
        """All of a service, those that are ending included."""
        with told(f"looking for the pods of {service}"):
            found = self._cluster.select("Pod", self._release.namespace, self._release.selector(service))
        return [Pod.read(document) for document in found]

    def port(self, instance: str, port: int) -> int:
        """Where a port of it is reached on this machine, whatever pod it is when somebody connects."""
        with self._lock:
            if (instance, port) not in self._forwards:
                self._forwards[instance, port] = Forward(instance, lambda: self._dial(instance, port))
            return self._forwards[instance, port].port

    def log_tail(self, instance: str, lines: int) -> str:
        """The last lines of what its pod has printed."""
        try:
            pod = self.slot(instance)
        except StackError as error:
            return str(error)
        return self._cluster.log(self._release.namespace, pod.name, CONTAINER, lines) if pod is not None else ""

    def names(self) -> Sequence[str]:
        """Of all of them; asks nobody."""
        return [instance_name(service, number) for service, count in self._replicas.items() for number in range(1, count + 1)]

    def close(self) -> None:
        """Reach nothing any more."""
        for forward in self._forwards.values():
            forward.close()

    def _describe(self, service: str, number: int, pod: Pod | None) -> Instance:
        name = instance_name(service, number)
        port = self.port(name, port_of(service))
        url = self._secrets.url(service, LOOPBACK, port) if service in ENGINES else f"http://{LOOPBACK}:{port}"
        if service not in ENGINES:
            self._registry.put(service, name, url)
        return Instance(service, name, url, pod.version if pod is not None else "")

    def _assigned(self, service: str) -> dict[int, Pod | None]:
        return self._slots.assign(service, self.pods(service), self._replicas[service])

    def _dial(self, instance: str, port: int) -> socket.socket:
        pod = self.slot(instance)
        if pod is None:
            raise StackError(f"{instance} has no pod at the moment")
        return self._cluster.dial(self._release.namespace, pod.name, port)
