"""What the managers of a swarm say of a stack's tasks, read into instances. Pure.

An instance is a slot of a replicated service (`retrieval-2` is slot 2 of `retrieval`), whatever task fills it at the moment: when a task
ends, or its node does, the swarm fills the slot with another one, elsewhere if need be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

_WANTED = ("ready", "running")
"""Desired states of the task that a slot is to be filled by."""


@dataclass(frozen=True, slots=True)
class Task:
    """The task that fills a slot. `ports` are those of its node by those of the container, once it runs.

    `error` is the last that the swarm said of any task of the slot.
    """

    id: str
    service_id: str
    slot: int
    node_id: str | None  # None: it has not been placed yet
    state: str  # new … running … complete, failed, shutdown, orphaned
    desired: str
    created: str
    container: str | None
    ports: Mapping[int, int]
    error: str

    @property
    def runs(self) -> bool:
        """By what its node said last."""
        return self.state == "running" and self.desired == "running"


def filling(documents: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Task]:
    """Of each (service id, slot) the task that fills it: the newest one that is wanted, else the newest."""
    found: dict[tuple[str, int], Task] = {}
    errors: dict[tuple[str, int], str] = {}
    for task in sorted(map(_read, documents), key=lambda task: task.created):
        place = (task.service_id, task.slot)
        errors[place] = task.error or errors.get(place, "")
        if place not in found or _rank(task) > _rank(found[place]):
            found[place] = task
    return {place: replace(task, error=errors[place]) for place, task in found.items()}


def _rank(task: Task) -> tuple[bool, str]:
    return task.desired in _WANTED, task.created


def _read(document: Mapping[str, Any]) -> Task:
    status = document["Status"]
    published = status.get("PortStatus", {}).get("Ports") or ()
    return Task(
        id=str(document["ID"]),
        service_id=str(document["ServiceID"]),
        slot=int(document.get("Slot", 0)),
        node_id=document.get("NodeID") or None,
        state=str(status["State"]),
        desired=str(document["DesiredState"]),
        created=str(document["CreatedAt"]),
        container=status.get("ContainerStatus", {}).get("ContainerID") or None,
        ports={int(port["TargetPort"]): int(port["PublishedPort"]) for port in published if port.get("PublishedPort")},
        error=str(status.get("Err", "")),
    )
