"""The control groups of embedded instances: each has its own from its first start on, so that all its memory is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from harness import cgroups
from harness.cgroups import CgroupError, Controller, Group
from harness.stack.base import Limits, StackError


class InstanceGroups:
    """Those of one run. Safe for several threads. Where this machine has no control groups for us, only `limit` says so."""

    def __init__(self, run_id: str) -> None:
        """Nothing is made yet."""
        self._run_id = run_id
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._limits: dict[str, Limits] = {}
        self._slowed: set[str] = set()

    def admit(self, instance: str, pid: int) -> None:
        """A process of the instance, just started, with all that it will start. Raises StackError."""
        if cgroups.why_not() is not None:
            return
        with self._lock:
            try:
                self._move(instance, (pid,), self._controllers(instance))
            except CgroupError as error:
                raise StackError(f"{instance}: {error}") from error

    def limit(self, instance: str, pids: Iterable[int], limits: Limits) -> Limits:
        """Bound the instance, whose processes these are, now and after its next starts; returns what it had. Raises StackError."""
        with self._lock:
            before = self._limits.get(instance, Limits())
            try:
                group = self._group(instance)
                group.bound_memory(limits.memory_bytes)  # first, because it can be refused
                group.bound_cpus(limits.cpus)
                self._limits[instance] = limits
                self._move(instance, pids, self._controllers(instance))
            except CgroupError as error:
                raise StackError(f"{instance} cannot be limited: {error}") from error
        return before

    def limit_disk(self, instance: str, pids: Iterable[int], device: str, bytes_per_s: int | None) -> None:
        """Bound what the instance writes to a block device, now and after its next starts; None: any. Raises StackError."""
        with self._lock:
            try:
                self._group(instance).bound_disk(device, bytes_per_s)
                self._slowed.add(instance)
                self._move(instance, pids, self._controllers(instance))
            except CgroupError as error:
                raise StackError(f"{instance} cannot be limited: {error}") from error

    def remove(self) -> list[str]:
        """All of them, once nothing runs in them; returns what resists. Idempotent."""
        return cgroups.remove_groups(self._run_id)

    def _controllers(self, instance: str) -> tuple[Controller, ...]:
        """A group of its own would change how an instance is scheduled: it is for those that are limited. Version 2 has one for all."""
        cpu: tuple[Controller, ...] = ("cpu",) if instance in self._limits else ()
        return ("memory", *cpu, *((cgroups.DISKS,) if instance in self._slowed else ()))

    def _move(self, instance: str, pids: Iterable[int], controllers: Iterable[Controller]) -> None:
        group = self._group(instance)
        for controller in controllers:
            for pid in pids:
                group.join(pid, controller)

    def _group(self, instance: str) -> Group:
        group = self._groups.get(instance)
        if group is None:
            group = cgroups.hierarchy().group(self._run_id, instance)
            group.make()
            self._groups[instance] = group
        return group
