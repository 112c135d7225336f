"""What faults of resources share: a program beside the instance that takes them, and others that try what is left."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.faults import stressor
from harness.faults.base import Context, FaultError, Parameters, Target, act, capability
from harness.faults.names import fresh_name
from harness.faults.process import InstanceFault
from harness.record.clock import NS_PER_S
from harness.stack.base import Limitable, Limits, StackError, Stress, Stressable
from harness.sweep import identify

STRESSOR = Path(stressor.__file__)
TRIAL_TTL_S = 20.0
POLL_S = 0.02
MB = stressor.MB

Number = TypeVar("Number", int, float)


class ResourceFault(InstanceFault[Parameters]):
    """A fault of what one instance has to work with."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.word = fresh_name(context)
        """Among the arguments of what runs beside the instance for long."""
        self._beside: Stress | None = None
        self._limits: Limits | None = None  # before the fault

    @property
    def taking(self) -> bool:
        """What takes the resource runs."""
        return self._beside is not None and identify(self._beside.pid) is not None

    def take(self, mode: str, **options: object) -> None:
        """Run the stressor beside the instance until the fault is healed, or the instance is gone. Raises FaultError."""
        pid = own_number(self.place().pid)
        self._beside = self._run(mode, self.word, self.context.ttl_s, {"with_pid": pid, **options})

    def let_go(self) -> None:
        """End what `take` has started. Raises FaultError."""
        beside, self._beside = self._beside, None
        if beside is not None:
            act("ending what runs beside it", beside.end)

    def release(self) -> None:
        """And give the instance the limits that it had. Raises FaultError."""
        self.let_go()
        limits, self._limits = self._limits, None
        if limits is not None:
            act(f"unlimiting {self.name}", lambda: capability(self.context.stack, Limitable).limit(self.name, limits))

    def attempt(self, mode: str, **options: object) -> Mapping[str, Any] | None:
        """What a program beside the instance says of what it was given there; None when it was killed. Raises FaultError."""
        running = self._run(mode, "batch", TRIAL_TTL_S, options)
        clock = self.context.clock
        deadline_ns = clock.now_ns() + round(TRIAL_TTL_S * NS_PER_S)
        try:
            while _said(running) is None and identify(running.pid) is not None:
                if clock.now_ns() > deadline_ns:
                    raise FaultError(f"a program beside {self.name} has not ended after {TRIAL_TTL_S:g} s")
                clock.sleep(POLL_S)
        finally:
            act("ending a trial", running.end)  # which waits for its last word
        return _said(running)

    def bound(self, *, cpus: float | None = None, memory_bytes: int | None = None) -> None:
        """Limit the instance to this, or to what it is limited to already where that is less. Raises FaultError."""
        stack = capability(self.context.stack, Limitable)
        asked = Limits(cpus, memory_bytes)
        try:
            before = stack.limit(self.name, asked)
            self._limits = self._limits or before
            both = Limits(_least(before.cpus, cpus), _least(before.memory_bytes, memory_bytes))
            if both != asked:
                stack.limit(self.name, both)
        except StackError as error:
            raise FaultError(f"limiting {self.name}: {error}") from error

    def _run(self, mode: str, word: str, ttl_s: float, options: Mapping[str, object]) -> Stress:
        stack = capability(self.context.stack, Stressable)
        try:
            return stack.stress(self.name, STRESSOR, _arguments(mode, word, ttl_s, options))
        except StackError as error:
            raise FaultError(f"running a program beside {self.name}: {error}") from error


def elsewhere(mode: str, **options: object) -> Mapping[str, Any]:
    """What the same program says that runs on this machine without being beside any instance. Raises FaultError."""
    argv = [sys.executable, "-I", "-S", str(STRESSOR), *_arguments(mode, "batch", TRIAL_TTL_S, options)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TRIAL_TTL_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise FaultError(f"{mode}: {error}") from error
    if done.returncode != 0:
        raise FaultError(f"{mode}: {done.stderr.strip().rpartition(chr(10))[2]}")
    said: Mapping[str, Any] = json.loads(done.stdout)
    return said


def own_number(pid: int) -> int:
    """The number of a process in its own namespace: what it is called inside its container. Raises FaultError when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError as error:
        raise FaultError(f"process {pid}: {error.strerror}") from error
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), pid)


def _arguments(mode: str, word: str, ttl_s: float, options: Mapping[str, object]) -> list[str]:
    named = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [mode, "--name", word, "--ttl", str(math.ceil(ttl_s)), *named]


def _said(running: Stress) -> Mapping[str, Any] | None:
    lines = [line for line in running.output().splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
    if not lines:
        return None
    said: Mapping[str, Any] = json.loads(lines[-1])
    return said


def _least(one: Number | None, other: Number | None) -> Number | None:
    return min((value for value in (one, other) if value is not None), default=None)
