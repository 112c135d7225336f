"""Which pod is which instance. Pods come and go under names that nobody chose; instances are numbered, and stay."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster import conditions
from harness.stack.kubernetes.release import CONTAINER


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod, as the API server has it."""

    name: str
    uid: str
    created: str  # RFC 3339
    address: str
    ready: bool
    ended: bool  # it is being deleted, or its containers have come to their end
    version: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Pod:
        metadata, status = document["metadata"], document.get("status") or {}
        (container,) = (one for one in document["spec"]["containers"] if one["name"] == CONTAINER)
        version = next((one.get("value", "") for one in container.get("env") or () if one["name"] == "VERSION"), "")
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            created=metadata["creationTimestamp"],
            address=status.get("podIP") or "",
            ready=conditions(document).get("Ready", False),
            ended="deletionTimestamp" in metadata or status.get("phase") in ("Succeeded", "Failed"),
            version=version,
        )


class Slots:
    """Keeps pods in the places of instances: one that is there keeps its number, one that comes takes the lowest that is free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, dict[int, str]] = {}  # service -> number -> uid

    def assign(self, service: str, pods: Sequence[Pod], replicas: int) -> dict[int, Pod | None]:
        """The pod of every number from 1 to `replicas`; None where there is none now. More pods than that wait for a place."""
        living = {pod.uid: pod for pod in sorted(pods, key=lambda pod: (pod.created, pod.name)) if not pod.ended}
        with self._lock:
            before = self._taken.get(service, {})
            taken = {number: uid for number, uid in before.items() if number <= replicas and uid in living}
            waiting = [uid for uid in living if uid not in taken.values()]
            for number in range(1, replicas + 1):
                if number not in taken and waiting:
                    taken[number] = waiting.pop(0)
            self._taken[service] = taken
        return {number: living.get(taken.get(number, "")) for number in range(1, replicas + 1)}
