"""The world that faults may touch, before and after: what a fault leaves behind shows as a difference, whatever its own verbs say.

Compared is what only a fault changes. What an operator may do, or the stack itself, does not count: an instance that was restarted has
another pid and may have another port; one that was added or taken away has no past or no present to compare; settings of service discovery
(provider, cache epoch, rotation) and versions are an operator's to change; data comes and goes with the load.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.faults import fingerprint_looks as looks
from harness.faults.fingerprint_looks import Marks
from harness.record.clock import NS_PER_S, Clock
from harness.stack.base import Instance, Stack, StackError
from harness.sweep import processes_of
from harness.sweep_containers import things_of

LOOKS_AT_ONCE = 8
SETTLE_POLL_S = 0.2
UNREADABLE = "cannot be read: "
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class World:
    """What is looked at: a stack, and the run that it belongs to. `spared` are pids whose descendants are nobody's business.

    `networks` are the services whose network namespaces are looked into, which takes a tool for each look; None: all.
    """

    stack: Stack
    run_id: str | None = None
    work_dir: Path | None = None
    spared: Sequence[int] = ()
    networks: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One look. `of_instances` are marks by instance; `processes` are those that belong to no instance, by (pid, create time)."""

    marks: Mapping[str, str]
    of_instances: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    processes: Mapping[tuple[int, float], str] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()

    def differences(self, before: Fingerprint) -> list[str]:
        """What is here and was not, or is not and was, in words; empty when nothing is left."""
        found = [f"process {name} (pid {pid})" for (pid, since), name in self.processes.items() if (pid, since) not in before.processes]
        found += [f"stopped process {name}" for name in self.stopped]
        found += _changes("", before.marks, self.marks)
        for instance in sorted(self.of_instances.keys() & before.of_instances.keys()):
            found += _changes(f"{instance}: ", *_comparable(before.of_instances[instance], self.of_instances[instance]))
        return found


def take(world: World) -> Fingerprint:
    """Look at everything; takes a few tenths of a second. What cannot be read is in the fingerprint as such."""
    instances = [instance for service in world.stack.info.services for instance in world.stack.instances(service)]
    with ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="look") as pool:
        tables = pool.submit(_read, lambda: looks.tables(world.stack))
        files = pool.submit(_read, lambda: looks.files(world.work_dir))
        hosts = pool.submit(_read, lambda: looks.hosts(world.stack))
        outside = pool.submit(_processes, world, instances)
        of_instances = dict(
            zip(
                [instance.name for instance in instances],
                pool.map(lambda instance: _read(lambda: looks.of_instance(world.stack, instance, _network(world, instance))), instances),
                strict=True,
            )
        )
        owned = {name: looks.instance_of_file(name) for name in files.result()}
        for instance, marks in of_instances.items():
            of_instances[instance] = {**marks, **{name: files.result()[name] for name, owner in owned.items() if owner == instance}}
        shared = {name: mark for name, mark in files.result().items() if owned[name] is None}
        processes, stopped = outside.result()  # first: to ask the engine takes processes, too
        return Fingerprint({**tables.result(), **hosts.result(), **shared, **_things(world, instances)}, of_instances, processes, stopped)


def settled(before: Fingerprint, look: Callable[[], Fingerprint], clock: Clock, within_s: float) -> list[str]:
    """What is left, once nothing is or after `within_s`: an instance that somebody restarts just now is back by then."""
    deadline_ns = clock.now_ns() + round(within_s * NS_PER_S)
    while (left := look().differences(before)) and clock.now_ns() < deadline_ns:
        clock.sleep(SETTLE_POLL_S)
    return left


def _read(look: Callable[[], Marks]) -> Marks:
    try:
        return look()
    except (StackError, OSError, ValueError, KeyError) as error:
        return {"look": f"{UNREADABLE}{type(error).__name__}: {error}"}


def _network(world: World, instance: Instance) -> bool:
    return world.networks is None or instance.service in world.networks


def _comparable(before: Marks, after: Marks) -> tuple[Marks, Marks]:
    """Without what was never seen: an instance that was not ready had no settings to ask for, and is not left behind when it is ready."""
    if before.get(looks.STATE) != looks.NOT_READY:
        return before, after
    seen = before.keys() - {looks.STATE}
    return {name: before[name] for name in seen}, {name: mark for name, mark in after.items() if name in seen}


def _changes(where: str, before: Marks, after: Marks) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, "nothing"), after.get(name, "nothing")
        if was != now and not was.startswith(UNREADABLE):
            yield f"{where}{name}: {_short(now)}, was {_short(was)}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _things(world: World, instances: Sequence[Instance]) -> Marks:
    """Containers, networks and volumes of the run that are no instance's: those may come and go."""
    if world.run_id is None or all(instance.pid is not None and not _contained(instance.pid) for instance in instances):
        return {}
    names = {instance.name for instance in instances}
    try:
        others = sorted(str(thing) for thing in things_of(world.run_id) if not any(thing.name.endswith(name) for name in names))
    except TimeoutError as error:
        return {"engine": str(error)}
    return {"engine": ", ".join(others)}


def _contained(pid: int) -> bool:
    """In another pid namespace than we are."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    except OSError:
        return False


def _processes(world: World, instances: Sequence[Instance]) -> tuple[dict[tuple[int, float], str], tuple[str, ...]]:
    """Of the run, those that are no instance's; and all that are stopped, wherever."""
    family = _Family()
    ours = family.below(os.getpid())
    if world.run_id is not None:
        ours |= {entry.pid for entry in processes_of(world.run_id, world.work_dir)}
    trees: set[int] = set()
    for root in (*world.spared, *(instance.pid for instance in instances)):
        if root is not None:
            trees |= {root, *family.below(root)}
    outside: dict[tuple[int, float], str] = {}
    stopped = []
    for pid in ours | trees:
        try:
            process = psutil.Process(pid)
            status = process.status()
            if status == psutil.STATUS_STOPPED:
                stopped.append(f"{process.name()} (pid {pid})")
            if status != psutil.STATUS_ZOMBIE and pid not in trees:
                outside[pid, process.create_time()] = process.name()
        except psutil.NoSuchProcess:
            continue
    return outside, tuple(sorted(stopped))


class _Family:
    """Who started whom, read once: asked of each process by itself, it would be read for each."""

    def __init__(self) -> None:
        self._children: dict[int, list[int]] = {}
        for process in psutil.process_iter(["ppid"]):
            self._children.setdefault(process.info["ppid"] or 0, []).append(process.pid)

    def below(self, pid: int) -> set[int]:
        """All descendants."""
        found: set[int] = set()
        frontier = [pid]
        while frontier:
            new = [child for parent in frontier for child in self._children.get(parent, ()) if child not in found]
            found.update(new)
            frontier = new
        return found
