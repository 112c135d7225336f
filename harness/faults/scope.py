"""Whether an instance may be touched at all: it is of this run, and on this machine or on a host that the scenario allows."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from harness.faults.base import FaultError
from harness.scenario.hosts import is_loopback
from harness.stack.base import Instance, Placed, Stack, StackError


def refuse_foreign(stack: Stack, instance: Instance, allowed_hosts: Collection[str] = ()) -> None:
    """Raises FaultError for an instance on another host, or whose process or container is somebody else's."""
    host = urlsplit(instance.url).hostname or ""
    if not is_loopback(host) and host not in allowed_hosts:
        raise FaultError(
            f"{instance.name} is at {host or instance.url!r}, not on this machine; allow it: `stack: {{allow_hosts: [{host}]}}`"
        )
    if instance.pid is None:
        return
    place = _container(stack, instance)
    if place is not None:
        if place not in _read(f"/proc/{instance.pid}/cgroup"):
            raise FaultError(f"pid {instance.pid} of {instance.name} is not in its container {place[:12]}: refused")
    elif not _of_this_run(instance.pid):
        raise FaultError(f"pid {instance.pid} of {instance.name} is no process of this run: refused")


def _container(stack: Stack, instance: Instance) -> str | None:
    if not isinstance(stack, Placed):
        return None
    try:
        return stack.place(instance.name).container
    except StackError:
        return None  # it does not run


def _of_this_run(pid: int) -> bool:
    """A descendant of ours, as all that a stack starts."""
    try:
        return os.getpid() in {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.NoSuchProcess:
        return True  # it has just ended, and is nobody's


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
