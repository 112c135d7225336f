"""The reference RAG stack on a Kubernetes cluster, in a namespace of the run's own, reached through the API server.

Tested against a stand-in of the API server alone: it has not been verified on a cluster.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.cluster import CHAOS_GROUP, Cluster, ClusterError, ClusterRef
from harness.record.clock import Clock, SystemClock
from harness.scenario.catalog import StackInfo
from harness.scenario.services import ClusterSpec
from harness.stack import http_probe, postgres, valkey
from harness.stack.base import AdminApi, DocumentsAt, Instance, Mesh, StackError
from harness.stack.catalog import reference_info
from harness.stack.containers.launch import ADMIN_PORT
from harness.stack.kubernetes import manifests, rollout
from harness.stack.kubernetes.data import Documents, OwnDocuments
from harness.stack.kubernetes.instances import Instances
from harness.stack.kubernetes.mesh import ClusterMesh, told
from harness.stack.kubernetes.release import Release, object_name
from harness.stack.kubernetes.secrets import RunSecrets
from harness.stack.kubernetes.workloads import is_stateful
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK
from harness.stack.ready import wait_ready
from harness.stack.registry import RegistryFile
from harness.stack.topology import PROVIDERS, SNAPSHOTS, instance_name
from harness.sweep_kubernetes import await_, note, remove

READY_DEADLINE_S = 180.0
"""Nodes may have to pull images."""
GONE_DEADLINE_S = 40.0
LOG_LINES = 2000
LOG_TAIL_LINES = 30
_STORES = ("postgres", "vector")


class KubernetesStack:
    """`Stack` of pods. An instance is whatever pod has its number at the moment. A stopped one cannot be started again."""

    def __init__(
        self,
        options: StackOptions,
        spec: ClusterSpec | None = None,
        clock: Clock | None = None,
        connect: Callable[[ClusterRef], Cluster] = Cluster.connect,
        documents: Documents | None = None,
    ) -> None:
        """Check the options; nothing is started, and no cluster is asked. Raises ValueError."""
        self._info = reference_info(options.replicas, options.vector_store, "kubernetes")
        if options.proxied_edges:
            raise ValueError(f"no proxy can be put on {', '.join('->'.join(edge) for edge in options.proxied_edges)}")
        chosen = spec or ClusterSpec()
        self._ref = ClusterRef(context=chosen.context)
        namespace = f"gauntlet-{options.run_id}".lower()
        self._release = Release(namespace, chosen.images, options.replicas, options.vector_store, options.version, options.run_id)
        self._topology = self._release.topology
        self._options = options
        self._clock = clock or SystemClock()
        self._connect = connect
        self._documents = documents or OwnDocuments()
        self._secrets = RunSecrets.fresh()
        self._registry = RegistryFile(options.work_dir)
        self._found: Cluster | None = None
        self._instances: Instances | None = None
        self._given_up = threading.Event()
        self._stopping = threading.Lock()

    # --- Stack

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        return self._present.get("gateway-1").url

    @property
    def api_key(self) -> str | None:
        return self._secrets.credentials.api_key

    @property
    def provider_key(self) -> str:
        """Credential of the mock providers' public interface."""
        return self._secrets.credentials.provider_key

    @property
    def preferred_model(self) -> str:
        return SNAPSHOTS[PROVIDERS[0]]

    @property
    def corpus_path(self) -> Path:
        return self._options.work_dir / "corpus" / "corpus.jsonl"

    @property
    def questions_path(self) -> Path:
        return self._options.work_dir / "corpus" / "questions.jsonl"

    def start(self) -> None:
        try:
            self._prepare()
            self._await_ready([name for name, service in self._topology.services.items() if service.kind in _STORES])
            self._documents.fill(self._options, self._stores(), self._reason_to_give_up)
            self._await_ready(list(self._topology.services))
        except ClusterError as error:
            self.stop()
            raise StackError(f"the stack did not start on the cluster: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Raises StackError only when something stays on the cluster."""
        self._given_up.set()
        with self._stopping:
            left: Sequence[str] = ()
            if self._found is not None:
                if self._instances is not None:
                    self._keep_logs()
                    self._instances.close()
                try:
                    left = remove(self._found, self._options.run_id, self._clock).left
                except ClusterError as error:
                    left = [f"namespace {self._release.namespace} ({error})"]
            if not left:  # else the note of where it is stays, for whoever cleans up
                shutil.rmtree(self._options.work_dir, ignore_errors=True)
        if left:
            raise StackError(f"cannot be removed: {', '.join(left)}")

    def instances(self, service: str) -> Sequence[Instance]:
        if service not in self._topology.services:
            raise StackError(f"no service {service!r}; there are {', '.join(self._topology.services)}")
        return self._instances.of(service) if self._instances is not None else []

    def documents(self) -> DocumentsAt:
        self._topology.require_all_in_one()
        return DocumentsAt(self.instances("postgres")[0].url)

    def probe(self, instance: Instance) -> str | None:
        if instance.service == "postgres":
            return postgres.probe(instance.url)
        return valkey.probe(instance.url) if instance.service == "cache" else http_probe.ready(instance.url)

    def targets(self) -> Mapping[str, Any]:
        """As of the other drivers: service discovery is a file of this machine, which names the forwarded ports."""
        return self._topology.targets(self._registry.path, lambda service: [instance.url for instance in self.instances(service)])

    # --- capabilities

    def kill(self, instance: str) -> None:
        """Its pod is deleted without grace; whoever owns it makes another one."""
        self._end(instance, 0)

    def stop_instance(self, instance: str, grace_s: float) -> None:
        self._end(instance, max(1, round(grace_s)))  # 0 would be no grace at all

    def restart(self, instance: str) -> None:
        """Its pod is deleted in order, and the one that comes in its place awaited. A rollout would restart the others as well."""
        described = self._present.get(instance)
        if self._present.slot(instance) is not None:
            self._end(instance, None)
        self._await_instance(described)

    def scale(self, service: str, replicas: int) -> None:
        try:
            self._topology.check_replicas(service, replicas)
        except ValueError as error:
            raise StackError(str(error)) from error
        kind, name = self._workload(service)
        with told(f"scaling {service}"):
            self._cluster.patch(kind, self._release.namespace, name, {"spec": {"replicas": replicas}})
        self._present.declare(service, replicas)
        self._await_settled(service)
        for instance in self.instances(service):
            self._await_instance(instance)

    def deploy(self, service: str, version: str) -> str:
        """A rollout: a new pod is ready before an old one goes, except of those that keep data."""
        kind, name = self._workload(service)
        with told(f"deploying {service} {version}"):
            workload = self._cluster.find(kind, self._release.namespace, name)
            if workload is None:
                raise StackError(f"there is no {kind} {name}")
            before, change = rollout.to_version(workload, version)
            self._cluster.patch(kind, self._release.namespace, name, change)
        self._await_settled(service)
        return before

    def admin(self, service: str) -> AdminApi:
        if service not in self._topology.programmable:
            raise StackError(f"{service} has no admin API; {' and '.join(self._topology.programmable)} have")
        port = self._present.port(instance_name(service, 1), ADMIN_PORT)
        return AdminApi(f"http://{LOOPBACK}:{port}", self._secrets.credentials.admin_token)

    def mesh(self) -> Mesh:
        with told("looking for Chaos Mesh"):
            if not self._cluster.serves(CHAOS_GROUP):
                raise StackError(f"Chaos Mesh is not installed on {self._cluster.address}: there are no {CHAOS_GROUP}")
        return ClusterMesh(self._cluster, self._ref, self._release, self._present.pod_of, self._present.pods, self._clock)

    # --- the start

    def _prepare(self) -> None:
        """Everything on the cluster, all at once: what needs something else is not ready before that."""
        options = self._options
        options.work_dir.mkdir(parents=True)
        self._documents.make(options, self._reason_to_give_up)
        self._ref = self._ref.resolved()
        self._found = self._connect(self._ref)
        note(options.work_dir, self._ref)
        space, *others = manifests.render(self._release)
        for manifest in (space, self._secrets.manifest(self._release, options), *others):
            self._cluster.create(manifest)
        replicas = self._topology.declared_replicas(options.replicas)
        self._instances = Instances(self._found, self._release, self._secrets, self._registry, replicas)

    def _stores(self) -> Mapping[str, str]:
        """URLs of what the migration fills, from here."""
        stores = [name for name, service in self._topology.services.items() if service.kind in _STORES]
        return {name: self._present.get(instance_name(name, 1)).url for name in stores}

    def _await_ready(self, services: Sequence[str]) -> None:
        for service in services:
            for instance in self.instances(service):
                self._await_instance(instance)

    def _await_instance(self, instance: Instance) -> None:
        wait_ready(
            instance.name,
            partial(self._not_ready, instance),
            READY_DEADLINE_S,
            alive=self._reason_to_give_up,
            log_tail=partial(self._present.log_tail, instance.name, LOG_TAIL_LINES),
            clock=self._clock,
        )

    def _not_ready(self, instance: Instance) -> str | None:
        pod = self._present.slot(instance.name)
        if pod is None:
            return "it has no pod"
        return self.probe(instance) if pod.ready else f"the pod {pod.name} is not ready"

    def _await_settled(self, service: str) -> None:
        kind, name = self._workload(service)
        look = partial(self._cluster.find, kind, self._release.namespace, name)
        with told(f"waiting for {service}"):
            wait_ready(service, lambda: rollout.unsettled(look()), READY_DEADLINE_S, alive=self._reason_to_give_up, clock=self._clock)

    # --- pods

    def _end(self, instance: str, grace_s: int | None) -> None:
        pod = self._present.pod_of(instance)
        with told(f"deleting the pod {pod.name} of {instance}"):
            self._cluster.delete("Pod", self._release.namespace, pod.name, grace_s)
            service = instance.rpartition("-")[0]
            if not await_(lambda: all(other.uid != pod.uid for other in self._present.pods(service)), GONE_DEADLINE_S, self._clock):
                raise StackError(f"the pod {pod.name} of {instance} is still there after {GONE_DEADLINE_S:g} s")

    def _workload(self, service: str) -> tuple[str, str]:
        return "StatefulSet" if is_stateful(self._topology.services[service]) else "Deployment", object_name(service)

    def _keep_logs(self) -> None:
        """The end of what the pods that are there have printed; what was printed before by others is the cluster's to keep."""
        for name in self._present.names():
            (self._options.logs_dir / f"{name}.log").write_text(self._present.log_tail(name, LOG_LINES), encoding="utf-8")

    @property
    def _present(self) -> Instances:
        if self._instances is None:
            raise StackError("no instance; there are none yet")
        return self._instances

    @property
    def _cluster(self) -> Cluster:
        if self._found is None:
            raise StackError("the stack has no cluster: it was not started")
        return self._found

    def _reason_to_give_up(self) -> str | None:
        return "the stack is being stopped" if self._given_up.is_set() else None
