"""Faults of how an instance comes up and goes down: its starts take long, or it does not heed that it is to stop."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
from pydantic import Field

from harness.faults import wrapper
from harness.faults.base import Evidence, FaultError, Parameters, act, capability
from harness.faults.process import InstanceFault, NoParameters
from harness.faults.undo import process_tree
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.stack.base import Killable, Restartable, StackError, Wrapped

WRAPPER = Path(wrapper.__file__)
CLEARLY = 0.8  # of the delay asked for, at least, must show
HEARS_WITHIN_S = 5.0
POLL_S = 0.01
RESTART_ENDS_WITHIN_S = 12.0
"""A restart waits for readiness, and gives up in the end."""


class SlowStartParameters(FaultParameters):
    """Parameters of `process.slow_start`."""

    delay: Duration = Field(description="how much longer every start takes", ge=2.0, le=300.0, json_schema_extra={"unit": "duration"})


class WrappedFault(InstanceFault[Parameters]):
    """A fault of an instance that is started under our wrapper."""

    def wrap(self, script: Path | None, *arguments: str) -> None:
        """From its next start on; None: never again. Raises FaultError."""
        stack = capability(self.context.stack, Wrapped)
        act(f"changing how {self.name} starts", lambda: stack.set_wrapper(self.name, script, arguments))

    def restart(self) -> None:
        """Whatever state it is in. Raises FaultError."""
        act(f"restarting {self.name}", lambda: capability(self.context.stack, Restartable).restart(self.name))


class SlowStart(WrappedFault[SlowStartParameters]):
    """The instance dies, and its starts take that much longer until the fault is healed: cold caches, a model to load, a slow registry."""

    spec = FaultSpec(
        name="process.slow_start",
        summary="Kills one instance and starts it again; this start, and every further one, takes that much longer.",
        kind="crash",
        parameters=SlowStartParameters,
        targets=("service", "instance"),
        needs=("Wrapped", "Killable", "Restartable"),
        evidence="its process is as old as most of the delay, and the readiness probe still fails; gone: the probe succeeds",
        example="{id: cold-start, type: process.slow_start, target: retrieval-1, at: fault, for: 60s, with: {delay: 20s}}",
        recoverable_by=("scale", "failover"),  # a restart starts the wait anew
        only_roles=("http", "llm", "vector"),
    )
    _starting: threading.Thread | None = None

    def inject(self) -> None:
        if self._starting is not None:
            return
        stack = self.context.stack
        self.wrap(WRAPPER, "slow", str(self.parameters.delay))
        act(f"killing {self.name}", lambda: capability(stack, Killable).kill(self.name))
        # beside us: the stack waits for readiness, which is what is late
        self._starting = threading.Thread(target=self._start, name=f"start of {self.name}", daemon=True)
        self._starting.start()

    def verify(self) -> Evidence | None:
        instance = self.instance()
        reason = self.context.stack.probe(instance)
        if instance.pid is None or reason is None:
            return None
        age_s = age_of(instance.pid)
        if age_s is None or age_s < CLEARLY * self.parameters.delay:
            return None
        return {"instance": self.name, "pid": instance.pid, "started_s_ago": age_s, "probe": reason}

    def heal(self) -> None:
        self.wrap(None)
        starting, self._starting = self._starting, None
        if starting is not None and self.context.stack.probe(self.instance()) is not None:
            self._end_start(starting)
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        return self.ready() if self._starting is None else None

    def _start(self) -> None:
        try:
            capability(self.context.stack, Restartable).restart(self.name)
        except StackError:
            return  # not ready in time, or killed meanwhile: as it is meant to be

    def _end_start(self, starting: threading.Thread) -> None:
        """Kill what is waiting, so that the stack need not wait for it. Raises FaultError."""
        pid = self.instance().pid
        for process in process_tree(pid) if pid is not None else ():
            process.kill()
        starting.join(RESTART_ENDS_WITHIN_S)
        if starting.is_alive():
            raise FaultError(f"the start of {self.name} goes on")


class HangOnShutdown(WrappedFault[NoParameters]):
    """The instance works, and does not heed that it is to stop: whoever stops it waits until it is killed."""

    spec = FaultSpec(
        name="process.hang_on_shutdown",
        summary="Restarts one instance so that it ignores SIGTERM: it works, but every stop of it lasts until it is killed.",
        kind="hang",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Wrapped", "Placed", "Restartable"),
        evidence="it was sent SIGTERM, which it ignores, and is still there and ready; gone: it is ready, and does not ignore SIGTERM",
        example="{id: deaf, type: process.hang_on_shutdown, target: retrieval-1, at: fault, for: 60s}",
        recoverable_by=(),  # users feel nothing; it costs whoever stops it
        only_roles=("http", "llm", "vector"),
    )

    def inject(self) -> None:
        if ignores(self.place().pid, signal.SIGTERM):
            return
        self.wrap(WRAPPER, "deaf")
        self.restart()

    def verify(self) -> Evidence | None:
        pid = self.place().pid
        if not ignores(pid, signal.SIGTERM):  # to one that heeds it, it must not be sent
            return None
        os.kill(pid, signal.SIGTERM)
        ready = self.ready()
        return None if ready is None or not psutil.pid_exists(pid) else {**ready, "pid": pid, "sigterm": "ignored"}

    def heal(self) -> None:
        self.wrap(None)
        running = self.instance().pid
        if running is not None and ignores(pid := self.place().pid, signal.SIGTERM):
            self._let_hear(pid)
            self.restart()  # in order, therefore
        else:
            self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        ready = self.ready()
        return None if ready is None or ignores(self.place().pid, signal.SIGTERM) else {**ready, "sigterm": "heeded"}

    def _let_hear(self, pid: int) -> None:
        """Raises FaultError when it does not."""
        os.kill(pid, signal.SIGUSR1)
        clock = self.context.clock
        deadline_ns = clock.now_ns() + round(HEARS_WITHIN_S * NS_PER_S)
        while ignores(pid, signal.SIGTERM):  # a signal that comes before it listens is lost
            if clock.now_ns() > deadline_ns:
                raise FaultError(f"{self.name} still ignores SIGTERM")
            clock.sleep(POLL_S)


def age_of(pid: int) -> float | None:
    """How long ago a process was started, in seconds, by the kernel's own clock; None when it is gone."""
    try:
        started_s = psutil.Process(pid).create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return None
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]) - started_s


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal, as the kernel tells it. Raises FaultError where there is no such process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError as error:
        raise FaultError(f"process {pid}: {error.strerror}") from error
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(mask >> (number - 1) & 1)


FAULTS = (SlowStart, HangOnShutdown)
