"""Faults of processes: an instance dies, or stops answering without dying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import psutil

from harness.faults.base import Context, Evidence, FaultError, Parameters, Target, TargetedFault, Undo, act, capability, instance_of
from harness.faults.freezer import FROZEN, frozen
from harness.faults.undo import process_tree
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import Instance, Killable, Outliving, Pausable, Place, Placed, Restartable, StackError
from harness.sweep import Found, identify, same_process


class NoParameters(FaultParameters):
    """Nothing to choose."""


def pick_instance(target: Target, context: Context) -> Target:
    """The target with an instance: the named one, else one drawn with the scenario's seed. Raises FaultError when there is none."""
    if target.instance is not None:
        return target
    names = sorted(instance.name for instance in context.stack.instances(target.service))
    if not names:
        raise FaultError(f"{target.service} has no instance: a fault must never have zero targets")
    rng = context.random
    return Target(target.service, instance=rng.choice(names))


class InstanceFault(TargetedFault[Parameters]):
    """A fault of one instance."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(pick_instance(target, context), parameters, context)
        assert self.target.instance is not None, "just picked"
        self.name: str = self.target.instance

    def instance(self) -> Instance:
        """As the stack describes it now. Raises FaultError."""
        return instance_of(self.context.stack, self.name, self.target.service)

    def place(self) -> Place:
        """Where it runs. Raises FaultError when it does not."""
        try:
            return capability(self.context.stack, Placed).place(self.name)
        except StackError as error:
            raise FaultError(str(error)) from error

    def ready(self) -> Evidence | None:
        """Evidence that the instance serves."""
        instance = self.instance()
        return {"instance": self.name, "ready": True, "pid": instance.pid} if self.context.stack.probe(instance) is None else None

    def outliving(self, verb: Literal["kill", "stop", "pause"]) -> Sequence[Undo]:
        """How it is brought back where ending the stack does not do that; nothing for a stack that ends with the run."""
        stack = self.context.stack
        return (Undo("command", {"argv": list(stack.restoring_command(self.name, verb))}),) if isinstance(stack, Outliving) else ()

    def restart_unless_ready(self) -> None:
        """Bring it up, unless somebody (a recovery action) has done so. Raises FaultError."""
        if self.context.stack.probe(self.instance()) is not None:
            act(f"restarting {self.name}", lambda: capability(self.context.stack, Restartable).restart(self.name))


class ProcessKill(InstanceFault[NoParameters]):
    """SIGKILL for the whole process tree of one instance. It stays down until somebody restarts it."""

    spec = FaultSpec(
        name="process.kill",
        summary="Kills one instance (SIGKILL, the whole tree); it stays down until somebody restarts it.",
        kind="crash",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Killable", "Restartable"),
        evidence="its pid is gone and the readiness probe fails; gone: the probe succeeds",
        example="{id: dead-replica, type: process.kill, target: retrieval, at: fault, for: 30s}",
        # Restart brings it back; scale and failover give its users another instance. All three end their trouble.
        recoverable_by=("restart", "scale", "failover"),
    )
    _victim: Found | None = None

    def undo(self) -> Sequence[Undo]:
        return self.outliving("kill")

    def inject(self) -> None:
        pid = self.instance().pid
        if pid is None and self._victim is not None:
            return  # dead by our hand already
        self._victim = identify(pid) if pid is not None else None
        act(f"killing {self.name}", lambda: capability(self.context.stack, Killable).kill(self.name))

    def verify(self) -> Evidence | None:
        reason = self.context.stack.probe(self.instance())
        if reason is None or (self._victim is not None and same_process(self._victim) is not None):
            return None
        return {
            "instance": self.name,
            "pid": self._victim.pid if self._victim else None,
            "pid_gone": self._victim is not None,
            "probe": reason,
        }

    def heal(self) -> None:
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        return self.ready()


STILL = frozenset({psutil.STATUS_STOPPED, FROZEN})


class ProcessPause(InstanceFault[NoParameters]):
    """SIGSTOP for the whole process tree of one instance, or its container paused: the kernel accepts connections, and nothing answers."""

    spec = FaultSpec(
        name="process.pause",
        summary="Freezes one instance (SIGSTOP to the whole tree; a container is paused): it holds its connections and answers nothing.",
        kind="hang",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Pausable",),
        evidence="every process of the tree is stopped (state T, or its control group frozen) and the readiness probe fails; "
        "gone: none is stopped, the probe succeeds",
        example="{id: frozen, type: process.pause, target: retrieval-1, at: fault, for: 20s}",
        recoverable_by=("restart", "failover"),
    )

    def undo(self) -> Sequence[Undo]:
        pid = self.instance().pid
        found = identify(pid) if pid is not None else None
        if found is None:
            return self.outliving("pause")
        stack = self.context.stack
        container = stack.place(self.name).container if isinstance(stack, Placed) else None
        if container is not None:
            return (Undo("unpause", {"container": container}),)
        return (Undo("continue", {"pid": found.pid, "create_time_s": found.create_time_s}),)

    def inject(self) -> None:
        self._seen = self.instance().pid is not None
        act(f"pausing {self.name}", lambda: self._set_paused(True))

    _seen = True
    """Whether the stack says which processes are its own; of others, what they answer must do."""

    def verify(self) -> Evidence | None:
        instance = self.instance()
        states = tree_states(instance.pid)
        if self._seen and (not states or not STILL.issuperset(states.values())):  # nor is a process that is gone a paused one
            return None
        reason = self.context.stack.probe(instance)
        return None if reason is None else {"instance": self.name, "states": states, "probe": reason}

    def heal(self) -> None:
        act(f"continuing {self.name}", lambda: self._set_paused(False))

    def gone(self) -> Evidence | None:
        states = tree_states(self.instance().pid)
        ready = self.ready()
        return None if ready is None or not STILL.isdisjoint(states.values()) else {**ready, "states": states}

    def _set_paused(self, paused: bool) -> None:
        capability(self.context.stack, Pausable).set_paused(self.name, paused)


def tree_states(pid: int | None) -> dict[str, str]:
    """The scheduler's state of each process of a tree, or `frozen`, by pid; empty where the instance is no process of this machine."""
    states: dict[str, str] = {}
    for process in process_tree(pid) if pid is not None else ():
        try:
            states[str(process.pid)] = FROZEN if frozen(process.pid) else str(process.status())
        except psutil.NoSuchProcess:
            continue
    return states


FAULTS = (ProcessKill, ProcessPause)
