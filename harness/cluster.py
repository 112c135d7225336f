"""A Kubernetes cluster: its objects, programs in its pods, connections to them. The only module that imports the `kubernetes` client.

Spoken to with the user's own kubeconfig. Whoever takes back what a run left on a cluster has nothing else either, so this is below both the
driver and the faults.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CALL_TIMEOUT_S = 10.0
CHAOS_GROUP = "chaos-mesh.org/v1alpha1"
Document = dict[str, Any]
_INSTALL = "pip install 'rag-gauntlet[kubernetes]'"


class ClusterError(RuntimeError):
    """The API server refused, or none answers: then `status`, its HTTP status, is 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of objects: where the API server has them."""

    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Of all of them, those of a namespace, or one."""
        prefix = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace is not None else ""
        return f"{prefix}{within}/{self.plural}" + (f"/{name}" if name is not None else "")


CHAOS_KINDS: tuple[str, ...] = ("PodChaos", "NetworkChaos", "StressChaos", "IOChaos", "TimeChaos", "DNSChaos")
KINDS: Mapping[str, Kind] = {
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Pod": Kind("v1", "pods"),
    "Service": Kind("v1", "services"),
    "ConfigMap": Kind("v1", "configmaps"),
    "Secret": Kind("v1", "secrets"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Deployment": Kind("apps/v1", "deployments"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "ReplicaSet": Kind("apps/v1", "replicasets"),
    "Job": Kind("batch/v1", "jobs"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "VerticalPodAutoscaler": Kind("autoscaling.k8s.io/v1", "verticalpodautoscalers"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    **{kind: Kind(CHAOS_GROUP, kind.lower()) for kind in CHAOS_KINDS},  # these are called the same in the plural
}
"""Those that are spoken of here."""


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """Which cluster: a kubeconfig and a context in it; None: those that kubectl would take."""

    kubeconfig: str | None = None
    context: str | None = None

    def resolved(self) -> ClusterRef:
        """With the file and the context named: what is current now may be another cluster's later. Raises ClusterError."""
        file = self.kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        if self.context is not None:
            return ClusterRef(file, self.context)
        with _configured():
            from kubernetes import config

            contexts: Any = config.list_kube_config_contexts
            _, current = contexts(file)
            return ClusterRef(file, str(current["name"]))


class Cluster:
    """One API server. Safe for several threads."""

    def __init__(self, configuration: Any, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """`configuration` of the client; `timeout_s` bounds a call. Nothing is asked yet."""
        from kubernetes.client import ApiClient
        from kubernetes.dynamic import DynamicClient

        configuration.retries = False  # a refused connection is an answer
        self._configuration = configuration
        self._timeout_s = timeout_s
        # paths are known: what kinds there are need not be asked, nor be kept in a file
        self._client = DynamicClient(ApiClient(configuration), discoverer=lambda *_: None)  # type: ignore[no-untyped-call]

    @classmethod
    def connect(cls, ref: ClusterRef, timeout_s: float = CALL_TIMEOUT_S) -> Self:
        """Read the kubeconfig. Raises ClusterError for a missing client, file or context."""
        chosen = ref.resolved()
        with _configured():
            from kubernetes import client, config

            configuration = client.Configuration()
            load: Any = config.load_kube_config  # it has no types
            load(chosen.kubeconfig, chosen.context, client_configuration=configuration, persist_config=False)
        return cls(configuration, timeout_s)

    @property
    def address(self) -> str:
        """Of the API server."""
        return str(self._configuration.host)

    def version(self) -> str:
        """Of the API server. Raises ClusterError where none answers."""
        return str(self._request("get", "/version")["gitVersion"])

    def serves(self, api_version: str) -> bool:
        """Whether the server has that group and version, e.g. because its custom resources are installed. Raises ClusterError."""
        try:
            self._request("get", f"/apis/{api_version}")
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    # --- objects

    def create(self, document: Document) -> Document:
        """Raises ClusterError: 409 where there is one of that name, 422 for what the server does not understand."""
        kind = KINDS[document["kind"]]
        path = kind.path(document["metadata"].get("namespace"))
        return self._document("post", path, document, query_params=[("fieldValidation", "Strict")])

    def find(self, kind: str, namespace: str | None, name: str) -> Document | None:
        """The object; None where there is none. Raises ClusterError."""
        try:
            return self._document("get", KINDS[kind].path(namespace, name))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def select(self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Document]:
        """Those of a namespace, or of all, that have these labels. Raises ClusterError."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        found = self._document("get", KINDS[kind].path(namespace), label_selector=selector or None)
        items: list[Document] = found["items"]
        return items

    def patch(self, kind: str, namespace: str | None, name: str, change: Document) -> Document:
        """Merge a change into an object (RFC 7396). Raises ClusterError."""
        return self._document("patch", KINDS[kind].path(namespace, name), change, content_type="application/merge-patch+json")

    def delete(self, kind: str, namespace: str | None, name: str, grace_s: int | None = None) -> bool:
        """Ask for it to be deleted, which may take its time; False where there is none. Raises ClusterError."""
        options: Document = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._document("delete", KINDS[kind].path(namespace, name), options)
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def log(self, namespace: str, pod: str, container: str, tail: int) -> str:
        """The end of what a container has printed; empty where it cannot be had."""
        path = f"{KINDS['Pod'].path(namespace, pod)}/log"
        try:
            found = self._request("get", path, query_params=[("container", container), ("tailLines", tail)], serialize=False)
        except ClusterError:
            return ""
        return bytes(found.data).decode("utf-8", errors="replace")

    # --- what is inside of a pod

    def run(self, namespace: str, pod: str, container: str, argv: Sequence[str], timeout_s: float = CALL_TIMEOUT_S) -> str:
        """Run a program there; returns what it printed. Raises ClusterError with that when it fails, or takes too long."""
        from kubernetes.stream import stream

        core = self._core()
        options = {"container": container, "command": list(argv), "stdin": False, "stdout": True, "stderr": True, "tty": False}
        with _translated():
            process = stream(core.connect_get_namespaced_pod_exec, pod, namespace, **options, _preload_content=False)
        with _translated():
            try:
                process.run_forever(timeout=timeout_s)
                status = process.returncode  # before what it printed, which is read with all else that has come
                printed = str(process.read_all())
            finally:
                process.close()
        if status is None:
            raise ClusterError(f"{argv[0]} in {pod} has not ended after {timeout_s:g} s")
        if status != 0:
            raise ClusterError(f"{argv[0]} in {pod} failed with exit status {status}: {printed.strip()[-500:]}")
        return printed

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to a port of the pod, through the API server. Raises ClusterError where the pod is not there."""
        from kubernetes.stream import portforward

        core = self._core()
        with _translated():
            forwarded = portforward(core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
        connection: socket.socket = forwarded.socket(port)
        return connection

    def _core(self) -> Any:
        """One of its own for every call: the client changes it while it makes a stream."""
        from kubernetes.client import ApiClient, CoreV1Api

        return CoreV1Api(ApiClient(self._configuration))

    # --- how

    def _document(self, method: str, path: str, body: Document | None = None, **params: Any) -> Document:
        found: Document = self._request(method, path, body, **params)
        return found

    def _request(self, method: str, path: str, body: Document | None = None, **params: Any) -> Any:
        with _translated():
            return self._client.request(method, path, body=body, serializer=_as_it_is, _request_timeout=self._timeout_s, **params)


def _as_it_is(_client: object, document: Any) -> Any:
    return document


@contextmanager
def _configured() -> Iterator[None]:
    """What goes wrong before there is anybody to talk to, as ClusterError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ClusterError(f"the Kubernetes client is not installed: {_INSTALL}") from error
    except Exception as error:
        from kubernetes.config import ConfigException

        if isinstance(error, (ConfigException, OSError)):
            raise ClusterError(f"no cluster to work with: {error}") from error
        raise


@contextmanager
def _translated() -> Iterator[None]:
    """What the client and its transports raise, as ClusterError."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError
    from websocket import WebSocketException

    try:
        yield
    except ApiException as error:
        raise ClusterError(_message(error), int(error.status or 0)) from error
    except (HTTPError, WebSocketException, OSError) as error:
        raise ClusterError(f"no API server answers: {error}") from error


def _message(error: Any) -> str:
    """What the server says, in its own words where it gives a Status."""
    try:
        return f"Kubernetes: {json.loads(error.body)['message']}"
    except (ValueError, KeyError, TypeError):
        return f"Kubernetes: {error.status} {error.reason}".strip()


def conditions(document: Mapping[str, Any]) -> Mapping[str, bool]:
    """Which conditions of an object's status hold."""
    return {one["type"]: one["status"] == "True" for one in (document.get("status") or {}).get("conditions") or ()}
