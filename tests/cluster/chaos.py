"""Chaos Mesh in the stand-in: it selects pods, does to them what an object says, tells so in its status, and lets an object go only when
that is taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from harness.cluster import CHAOS_KINDS
from tests.cluster.kubelet import CPU_LIMIT, Edge, Kubelet, Running
from tests.cluster.store import Document, Store, matches

FINALIZER = "chaos-mesh/records"
FORCED = ("chaos-mesh.chaos-mesh.org/cleanFinalizer", "forced")


class ChaosMesh:
    """`reconcile` is called after every change. `broken`: kinds that are never injected; `stuck`: kinds that are never taken back."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self._store = store
        self._kubelet = kubelet
        self._undo: dict[str, list[Callable[[], None]]] = {}  # by the object's uid
        self.installed = True
        self.broken: set[str] = set()
        self.stuck: set[str] = set()

    def reconcile(self) -> None:
        for kind in CHAOS_KINDS:
            for one in self._store.select(kind):
                self._object(one)

    def _object(self, one: Document) -> None:
        metadata = one["metadata"]
        if "deletionTimestamp" in metadata:
            forced = (metadata.get("annotations") or {}).get(FORCED[0]) == FORCED[1]
            if one["kind"] not in self.stuck:
                self._recover(metadata["uid"])
            if one["kind"] not in self.stuck or forced:
                self._change(one, lambda fresh: fresh["metadata"].pop("finalizers", None))
        elif metadata["uid"] not in self._undo:
            self._inject(one)
        elif self._is_over(one):
            self._recover(metadata["uid"])
            self._tell(one, "Stop", self._selected(one), injected=False)

    def _inject(self, one: Document) -> None:
        pods = self._selected(one)
        undo = self._undo.setdefault(one["metadata"]["uid"], [])
        works = one["kind"] not in self.broken and bool(pods)
        if works:
            undo += _EFFECTS[one["kind"]](self, one["spec"], pods)
        self._change(one, lambda fresh: fresh["metadata"].update(finalizers=[FINALIZER]))
        self._tell(one, "Run", pods, injected=works)

    def _recover(self, uid: str) -> None:
        for undo in self._undo.get(uid, []):
            undo()
        self._undo[uid] = []

    def _tell(self, one: Document, desired: str, pods: list[Document], *, injected: bool) -> None:
        run = desired == "Run"
        holds = {"Selected": bool(pods), "AllInjected": run and injected, "AllRecovered": not run, "Paused": False}
        failed = (
            [{"type": "Failed", "operation": "Apply", "message": "the daemon does not answer"}] if run and pods and not injected else []
        )
        records = [
            {
                "id": f"{pod['metadata']['namespace']}/{pod['metadata']['name']}",
                "selectorKey": ".",
                "phase": "Injected" if run and injected else "Not Injected",
                "events": failed,
            }
            for pod in pods
        ]
        status = {
            "conditions": [{"type": name, "status": str(value)} for name, value in holds.items()],
            "experiment": {"desiredPhase": desired, "containerRecords": records},
        }
        self._change(one, lambda fresh: fresh.update(status=status))

    def _change(self, one: Document, change: Callable[[Document], object]) -> None:
        self._store.update(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"], lambda fresh: (change(fresh), None)[1])

    def _is_over(self, one: Document) -> bool:
        duration = one["spec"].get("duration")
        if duration is None or one["status"]["experiment"]["desiredPhase"] == "Stop":
            return False
        begun = datetime.fromisoformat(one["metadata"]["creationTimestamp"])
        return (datetime.now(UTC) - begun).total_seconds() > seconds(duration)

    def _selected(self, one: Document) -> list[Document]:
        return self._pods(one["spec"]["selector"])

    def _pods(self, selector: Mapping[str, Any]) -> list[Document]:
        found = []
        for pod in self._store.select("Pod"):
            metadata = pod["metadata"]
            named = "pods" not in selector or metadata["name"] in selector["pods"].get(metadata["namespace"], [])
            within = "namespaces" not in selector or metadata["namespace"] in selector["namespaces"]
            if named and within and matches(pod, selector.get("labelSelectors", {})) and "deletionTimestamp" not in metadata:
                found.append(pod)
        return found

    # --- what each kind does; each returns how it is taken back

    def _pod_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        if spec["action"] == "pod-kill":
            for pod in pods:
                self._store.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"], spec.get("gracePeriod", 0))
            return []
        for running in self._running(pods):
            self._kubelet.stop(running.uid)
        return [self._resume(running.uid) for running in self._running(pods)]

    def _resume(self, uid: str) -> Callable[[], None]:
        def resume() -> None:
            if any(running.uid == uid for running in self._kubelet.all()):
                self._kubelet.resume(uid)

        return resume

    def _network_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        edge = Edge(cut=spec["action"] == "partition")
        if spec["action"] == "delay":
            edge.delay_s = seconds(spec["delay"]["latency"])
        if spec["action"] == "loss":
            edge.loss = float(spec["loss"]["loss"]) / 100
        ours, theirs = self._running(pods), self._running(self._pods(spec["target"]["selector"]))
        ways = [(one.uid, other.uid) for one in ours for other in theirs if spec["direction"] in ("to", "both")]
        ways += [(other.uid, one.uid) for one in ours for other in theirs if spec["direction"] in ("from", "both")]
        self._kubelet.edges.update(dict.fromkeys(ways, edge))

        def undo() -> None:
            edge.cut = False
            for way in ways:
                self._kubelet.edges.pop(way, None)

        return [undo]

    def _stress_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        memory = (spec["stressors"].get("memory") or {}).get("size", "0MB")
        return self._each(
            pods,
            burns_cpus=CPU_LIMIT if "cpu" in spec["stressors"] else 0.0,
            holds_bytes=int(memory.removesuffix("MB")) * 1_000_000,
        )

    def _io_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        return self._each(pods, full=spec["volumePath"]) if spec.get("errno") == 28 else []

    def _dns_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        return self._each(pods, names=dict.fromkeys(spec["patterns"], spec["action"]))

    def _time_chaos(self, spec: Mapping[str, Any], pods: list[Document]) -> list[Callable[[], None]]:
        offset_s = seconds(spec["timeOffset"])
        return [_put(running.inside, "clock_offset_s", offset_s) for running in self._running(pods)]

    def _each(self, pods: list[Document], **changes: Any) -> list[Callable[[], None]]:
        return [_put(running, name, value) for running in self._running(pods) for name, value in changes.items()]

    def _running(self, pods: list[Document]) -> list[Running]:
        uids = {pod["metadata"]["uid"] for pod in pods}
        return [running for running in self._kubelet.all() if running.uid in uids]


def _put(target: object, name: str, value: Any) -> Callable[[], None]:
    """Set an attribute; returns how it becomes what it was."""
    before = getattr(target, name)
    setattr(target, name, value)
    return lambda: setattr(target, name, before)


_EFFECTS: Mapping[str, Callable[[ChaosMesh, Mapping[str, Any], list[Document]], list[Callable[[], None]]]] = {
    "PodChaos": ChaosMesh._pod_chaos,
    "NetworkChaos": ChaosMesh._network_chaos,
    "StressChaos": ChaosMesh._stress_chaos,
    "IOChaos": ChaosMesh._io_chaos,
    "DNSChaos": ChaosMesh._dns_chaos,
    "TimeChaos": ChaosMesh._time_chaos,
}


def seconds(duration: str) -> float:
    """Of a Go duration."""
    units = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    total = sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", duration))
    return -total if duration.startswith("-") else total
