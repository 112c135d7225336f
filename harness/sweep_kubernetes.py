"""Finds and removes what one run has on a cluster: its namespace, by the label that outlives the harness, and the faults in it.

Which cluster that is, a note in the run's work directory says, written before anything is made there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from harness.cluster import CHAOS_KINDS, Cluster, ClusterError, ClusterRef
from harness.record.clock import NS_PER_S, Clock
from harness.sweep_containers import RUN_LABEL

NOTE = "cluster.json"
RECOVERED_WITHIN_S = 10.0
"""How long Chaos Mesh gets to take its faults back itself, before its finalizers are cleared: their pods go anyway."""
REMOVED_WITHIN_S = 60.0
POLL_S = 0.1
_FORCE = {"metadata": {"annotations": {"chaos-mesh.chaos-mesh.org/cleanFinalizer": "forced"}}}


class Swept(NamedTuple):
    """What was removed from the cluster, and what resisted."""

    removed: list[str]
    left: list[str]


def note(folder: Path, ref: ClusterRef) -> None:
    """Leave word in the work directory of which cluster a run uses."""
    (folder / NOTE).write_text(json.dumps(asdict(ref)), encoding="utf-8")


def sweep(work_dir: Path, run_id: str, clock: Clock, connect: Callable[[ClusterRef], Cluster] = Cluster.connect) -> Swept:
    """Remove what that run has on its cluster; nothing for a run that used none. Never raises."""
    ref = _noted(work_dir)
    if ref is None:
        return Swept([], [])
    try:
        return remove(connect(ref), run_id, clock)
    except ClusterError as error:
        return Swept([], [f"namespace of run {run_id} ({error})"])


def remove(cluster: Cluster, run_id: str, clock: Clock) -> Swept:
    """Take the run's faults back, then delete its namespaces with all they hold. Raises ClusterError."""
    names = namespaces_of(cluster, run_id)
    for name in names:
        _clear_chaos(cluster, name, clock)
        for pod in cluster.select("Pod", name):
            cluster.delete("Pod", name, pod["metadata"]["name"], grace_s=0)  # nobody waits for what they have in hand
        cluster.delete("Namespace", None, name)
    await_(lambda: not namespaces_of(cluster, run_id), REMOVED_WITHIN_S, clock)
    left = namespaces_of(cluster, run_id)
    return Swept([f"namespace {name}" for name in names if name not in left], [f"namespace {name}" for name in left])


def namespaces_of(cluster: Cluster, run_id: str) -> list[str]:
    """Names of those that carry the run's label. Raises ClusterError."""
    return [found["metadata"]["name"] for found in cluster.select("Namespace", None, {RUN_LABEL: run_id})]


def remove_chaos(cluster: Cluster, namespace: str, kind: str, name: str, clock: Clock) -> bool:
    """Delete one fault and wait until it is taken back, which its finalizer says by going. False when it is not. Raises ClusterError."""
    cluster.delete(kind, namespace, name)
    return await_(lambda: cluster.find(kind, namespace, name) is None, RECOVERED_WITHIN_S, clock)


def chaos_in(cluster: Cluster, namespace: str) -> Iterator[tuple[str, str]]:
    """(kind, name) of every fault in a namespace; none where Chaos Mesh is not installed. Raises ClusterError."""
    for kind in CHAOS_KINDS:
        try:
            found = cluster.select(kind, namespace)
        except ClusterError as error:
            if error.status != 404:
                raise
            continue
        yield from ((kind, one["metadata"]["name"]) for one in found)


def await_(holds: Callable[[], bool], within_s: float, clock: Clock) -> bool:
    """Whether it comes to hold in time."""
    deadline_ns = clock.now_ns() + round(within_s * NS_PER_S)
    while not holds():
        if clock.now_ns() >= deadline_ns:
            return False
        clock.sleep(POLL_S)
    return True


def _clear_chaos(cluster: Cluster, namespace: str, clock: Clock) -> None:
    for kind, name in list(chaos_in(cluster, namespace)):
        cluster.delete(kind, namespace, name)
    if await_(lambda: not any(chaos_in(cluster, namespace)), RECOVERED_WITHIN_S, clock):
        return
    for kind, name in list(chaos_in(cluster, namespace)):
        try:
            cluster.patch(kind, namespace, name, _FORCE)
        except ClusterError as error:
            if error.status != 404:  # gone meanwhile
                raise


def _noted(work_dir: Path) -> ClusterRef | None:
    """By a run in its work directory, or by its stack in the part of it that is the stack's own."""
    for folder in (work_dir, work_dir / "stack"):
        try:
            return ClusterRef(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
    return None
