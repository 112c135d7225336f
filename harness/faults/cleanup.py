"""What is done for a run whose harness is gone, by the watchdog at once or by `gauntlet clean` later: take back, end, remove."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness import cgroups, mounts, sweep_kubernetes, sweep_swarm
from harness.faults.lease_files import Holder, outstanding
from harness.faults.undo import Undone, execute
from harness.record.clock import Clock
from harness.sweep import Found, end_processes, processes_of
from harness.sweep_containers import Thing, remove_things, things_of, told

SWEEPS_MAX = 3  # a process may start another while it is being ended
REMOVALS_MAX = 20
REMOVAL_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class TornDown:
    """What was ended, and what resisted."""

    ended: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Nothing of the run is left."""
        return not self.left


def undo_outstanding(work_dir: Path, skip: Collection[str] = ()) -> dict[str, list[Undone]]:
    """Take back every fault that is not proved gone, the latest first; what became of each entry, by fault."""
    held = [(fault_id, undo) for fault_id, undo in outstanding(work_dir).items() if fault_id not in skip]
    return {fault_id: [execute(entry, work_dir) for entry in reversed(undo)] for fault_id, undo in reversed(held)}


def tear_down(holder: Holder, clock: Clock, spare: Collection[int] = ()) -> TornDown:
    """End every process of the run but those in `spare`; remove what it has on a cluster, on engines, its control groups and directory.

    Never raises for what is gone.
    """
    on_cluster = sweep_kubernetes.sweep(holder.work_dir, holder.run_id, clock)
    engines = sweep_swarm.engines_of(holder.work_dir / "stack", holder.work_dir)
    removed, stuck = sweep_swarm.clear(engines, holder.run_id, clock) if engines else ([], [])
    on_engine, stuck_there = _remove_things(holder.run_id)
    removed, stuck = [*removed, *on_engine], [*stuck, *stuck_there]
    ended: dict[int, Found] = {}
    for _ in range(SWEEPS_MAX):
        found = [process for process in processes_of(holder.run_id, holder.work_dir) if process.pid not in spare]
        if not found:
            break
        end_processes(found)
        ended.update((process.pid, process) for process in found)
    left = [process for process in processes_of(holder.run_id, holder.work_dir) if process.pid not in spare]
    names = [*on_cluster.left, *stuck, *(_name(process) for process in left), *cgroups.remove_groups(holder.run_id)]
    lost = on_cluster.left or stuck  # where that is, and whose, only the directory says: `gauntlet clean` looks there again
    if not lost and not remove_directory(holder.work_dir, clock):
        names.append(str(holder.work_dir))
    return TornDown((*on_cluster.removed, *removed, *(_name(process) for process in ended.values())), tuple(names))


def _remove_things(run_id: str) -> tuple[list[str], list[str]]:
    """What was removed from the Docker engine, and what resisted, or why that is not known."""
    removed: dict[Thing, None] = {}
    left: list[Thing] | str = []
    for _ in range(SWEEPS_MAX):  # the engine may still have been making one
        left = _found(run_id)
        if isinstance(left, str):
            continue
        if not left:
            break
        remove_things(left)
        removed.update(dict.fromkeys(left))
    if left:
        left = _found(run_id)
    if isinstance(left, str):
        return [str(thing) for thing in removed], [left]
    return [str(thing) for thing in removed if thing not in left], [told(thing) for thing in left]


def _found(run_id: str) -> list[Thing] | str:
    """On the engine; or the reason for which a busy one does not tell."""
    try:
        return things_of(run_id)
    except TimeoutError as error:
        return str(error)


def remove_directory(path: Path, clock: Clock) -> bool:
    """Remove it with all it holds and what is mounted there, a few times: who just died may still close files. False when some stays."""
    mounts.unmount_below(path)
    for _ in range(REMOVALS_MAX):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return True
        clock.sleep(REMOVAL_WAIT_S)
    return False


def _name(process: Found) -> str:
    return f"{process.name} (pid {process.pid})"
