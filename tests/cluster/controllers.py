"""The controllers of the stand-in, as far as the driver can tell them from real ones: workloads make pods, pods become ready, what is
deleted takes with it what it owns.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.cluster.kubelet import Kubelet
from tests.cluster.store import Document, Refusal, Store

TICK_S = 0.02
_POD_HASH = "pod-template-hash"
_WORKLOADS = ("Deployment", "StatefulSet")


class Controllers:
    """A thread that brings everything closer to what is wanted, whenever something has changed."""

    def __init__(self, store: Store, kubelet: Kubelet, mesh: Any) -> None:
        self._store = store
        self._kubelet = kubelet
        self._mesh = mesh
        self._ended = threading.Event()
        self._digests: dict[tuple[str, int], str] = {}  # of templates, by uid and generation
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        with self._store.changed:
            self._store.changed.notify_all()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._ended.is_set():
            seen = self._store.version
            try:
                self._round()
            except Refusal:
                continue  # something has changed meanwhile: again
            with self._store.changed:
                if self._store.version == seen:
                    self._store.changed.wait(TICK_S)

    def _round(self) -> None:
        for kind in _WORKLOADS:
            for workload in self._store.select(kind):
                self._workload(workload)
        self._collect()
        for pod in self._store.select("Pod"):
            self._pod(pod)
        self._mesh.reconcile()
        for namespace in self._store.select("Namespace"):
            self._namespace(namespace)

    # --- workloads

    def _workload(self, workload: Document) -> None:
        if "deletionTimestamp" in workload["metadata"]:
            return
        pods = self._owned(workload)
        key = (workload["metadata"]["uid"], workload["metadata"]["generation"])
        if key not in self._digests:
            self._digests[key] = _digest(workload["spec"]["template"])
        version = self._digests[key]
        fresh = [pod for pod in pods if pod["metadata"]["labels"][_POD_HASH] == version]
        stale = [pod for pod in pods if pod not in fresh]
        if workload["kind"] == "StatefulSet":
            self._ordered(workload, version, pods, fresh, stale)
        else:
            self._surging(workload, version, fresh, stale)
        self._tell(workload, version)

    def _surging(self, workload: Document, version: str, fresh: list[Document], stale: list[Document]) -> None:
        """One more than wanted for a moment; an old one goes when another is ready in its place."""
        wanted = workload["spec"].get("replicas", 1)
        if len(fresh) < wanted and len(fresh) + len(stale) <= wanted:
            self._make(workload, version, f"{workload['metadata']['name']}-{version}-{self._store.version:05d}")
        for pod in fresh[wanted:]:
            self._store.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        if (stale and sum(map(_ready, [*fresh, *stale])) > wanted) or (stale and not any(map(_ready, stale))):
            self._store.delete("Pod", stale[0]["metadata"]["namespace"], stale[0]["metadata"]["name"])

    def _ordered(self, workload: Document, version: str, pods: list[Document], fresh: list[Document], stale: list[Document]) -> None:
        """Pods with numbers; the one that is replaced goes first, for there is one of its name."""
        name, namespace, wanted = workload["metadata"]["name"], workload["metadata"]["namespace"], workload["spec"].get("replicas", 1)
        names = {pod["metadata"]["name"] for pod in self._store.select("Pod", namespace)}
        for number in range(wanted):
            if f"{name}-{number}" not in names:
                self._claim(workload, number)
                self._make(workload, version, f"{name}-{number}")
        beyond = [pod for pod in pods if int(pod["metadata"]["name"].rpartition("-")[2]) >= wanted]
        for pod in beyond or (stale[-1:] if all(map(_ready, fresh)) else []):
            self._store.delete("Pod", namespace, pod["metadata"]["name"])

    def _make(self, workload: Document, version: str, name: str) -> None:
        template, namespace = workload["spec"]["template"], workload["metadata"]["namespace"]
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": {**template["metadata"]["labels"], _POD_HASH: version},
            "ownerReferences": [_reference(workload)],
        }
        self._store.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        )

    def _claim(self, workload: Document, number: int) -> None:
        for claim in workload["spec"].get("volumeClaimTemplates") or ():
            name = f"{claim['metadata']['name']}-{workload['metadata']['name']}-{number}"
            if self._store.find("PersistentVolumeClaim", workload["metadata"]["namespace"], name) is None:
                metadata = {"name": name, "namespace": workload["metadata"]["namespace"], "labels": claim["metadata"].get("labels", {})}
                self._store.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim["spec"]})

    def _tell(self, workload: Document, version: str) -> None:
        pods = self._owned(workload)
        status = {
            "observedGeneration": workload["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(pod["metadata"]["labels"][_POD_HASH] == version for pod in pods),
            "readyReplicas": sum(map(_ready, pods)),
        }
        self._set_status(workload, status)

    def _owned(self, workload: Document) -> list[Document]:
        """Its pods that are not ending."""
        pods = self._store.select("Pod", workload["metadata"]["namespace"])
        uid = workload["metadata"]["uid"]
        return [pod for pod in pods if _owner(pod) == uid and "deletionTimestamp" not in pod["metadata"]]

    def _collect(self) -> None:
        """What belonged to something that is gone goes, too."""
        there = {one["metadata"]["uid"] for kind in _WORKLOADS for one in self._store.select(kind)}
        for pod in self._store.select("Pod"):
            if _owner(pod) is not None and _owner(pod) not in there and "deletionTimestamp" not in pod["metadata"]:
                self._store.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    # --- pods

    def _pod(self, pod: Document) -> None:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._kubelet.remove(metadata["uid"])
            self._store.let_go("Pod", metadata["namespace"], metadata["name"])
        elif pod["status"]["phase"] == "Pending":
            running = self._kubelet.start(pod)
            running.inside.admin_token = self._secret(metadata["namespace"], "admin_token")
            self._set_status(pod, {"phase": "Running", "podIP": running.address, "conditions": _conditions(False)})
        else:
            ready = not self._kubelet.get(metadata["uid"]).stopped
            self._set_status(pod, {**pod["status"], "conditions": _conditions(ready)})

    def _secret(self, namespace: str, key: str) -> str:
        found = self._store.find("Secret", namespace, "rag-secrets") or {}
        return str((found.get("stringData") or {}).get(key, ""))

    # --- namespaces

    def _namespace(self, namespace: Document) -> None:
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        within = self._store.everything(name)
        for one in within:
            if "deletionTimestamp" not in one["metadata"]:
                self._store.delete(one["kind"], name, one["metadata"]["name"], 0)
        if not within:
            self._store.let_go("Namespace", None, name)

    def _set_status(self, one: Document, status: Mapping[str, Any]) -> None:
        metadata = one["metadata"]
        if one.get("status") != status:
            self._store.update(one["kind"], metadata.get("namespace"), metadata["name"], partial(_put_status, status))


def _put_status(status: Mapping[str, Any], one: Document) -> None:
    one["status"] = dict(status)


def _conditions(ready: bool) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": str(ready)}, {"type": "ContainersReady", "status": str(ready)}]


def _ready(pod: Document) -> bool:
    return any(one == {"type": "Ready", "status": "True"} for one in pod["status"].get("conditions") or ())


def _owner(one: Document) -> str | None:
    references = one["metadata"].get("ownerReferences") or [{"uid": None}]
    return references[0]["uid"]


def _reference(owner: Document) -> dict[str, Any]:
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": True,
    }  # fmt: skip


def _digest(template: Document) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
