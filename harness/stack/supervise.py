"""One instance of a service: its port, its version, and what runs it at the moment: a process tree, or a container."""

from __future__ import annotations

import threading
from typing import Protocol
from urllib.parse import urlsplit

from harness.stack.base import Instance, StackError
from harness.stack.ports import free_ports
from harness.stack.ready import Probe, wait_ready
from harness.stack.registry import RegistryFile

READY_DEADLINE_S = 30.0
RESTART_DEADLINE_S = 10.0
"""Shorter: whoever asked for it waits, the machine is not busy with a whole start, and a process that comes late is not lost."""
STOP_GRACE_S = 6.0
"""A service may take 5 s to finish what it works on."""
PORT_TRIES = 3


class Running(Protocol):
    """What runs an instance, from one start to its end. Used by one thread at a time, except for what only looks."""

    @property
    def pid(self) -> int | None:
        """Of its main process, as this machine numbers it; None where it is not one of this machine's."""
        ...

    @property
    def running(self) -> bool:
        """A paused one is running, too."""
        ...

    def ended(self) -> str | None:
        """How it ended; None while it runs."""
        ...

    def log_tail(self) -> str:
        """The last lines of its output."""
        ...

    def set_paused(self, paused: bool) -> None:
        """Freeze or thaw all of it."""
        ...

    def terminate(self) -> None:
        """Ask it to end, without waiting; a paused one hears it too."""
        ...

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and kill what is left after `grace_s`. Raises StackError when even that fails."""
        ...

    def kill(self) -> None:
        """End all of it at once. Raises StackError when something survives."""
        ...


class Launch(Protocol):
    """What a member must know to come up."""

    def start(self, member: Member) -> Running:
        """Start it afresh. Raises StackError when that cannot even be tried."""
        ...

    def url(self, service: str, port: int) -> str:
        """Where the harness, the load and the operator reach it, directly."""
        ...

    def inside_url(self, member: Member) -> str:
        """Where the other services reach it."""
        ...

    def probe(self, service: str, url: str) -> str | None:
        """None when it is ready, else the reason; bounded to about a second."""
        ...


class Member:
    """An instance. Its methods take turns, so that a recovery action and a fault do not start or stop it at the same time.

    `given_up` returns a reason once the whole stack is being stopped; then nothing waits for readiness any longer.
    """

    def __init__(self, service: str, name: str, version: str, launch: Launch, given_up: Probe) -> None:
        self.service = service
        self.name = name
        self.version = version
        self.port = free_ports(1)[0]
        self._launch = launch
        self._given_up = given_up
        self._turn = threading.RLock()
        self._child: Running | None = None
        self._retired = False

    @property
    def url(self) -> str:
        return self._launch.url(self.service, self.port)

    @property
    def inside_url(self) -> str:
        """Where the other services reach it."""
        return self._launch.inside_url(self)

    @property
    def running(self) -> bool:
        """It has a process, which may be paused or not ready."""
        child = self._child
        return child is not None and child.running

    def describe(self) -> Instance:
        """Itself, for others."""
        child = self._child
        pid = child.pid if child is not None and child.running else None
        return Instance(self.service, self.name, self.url, self.version, pid, urlsplit(self.inside_url).port)

    def probe(self) -> str | None:
        """None when it is ready, else the reason."""
        return self._launch.probe(self.service, self.url)

    def publish(self, registry: RegistryFile) -> None:
        """Put it into service discovery, or move it to the address that it has now."""
        registry.put(self.service, self.name, self.url, self.inside_url)

    def start(self) -> None:
        """Start a process and wait until it is ready. Raises StackError; then no process is left."""
        with self._turn:
            child = self._spawn()
            try:
                self._wait_ready(child, READY_DEADLINE_S)
            except BaseException:
                child.kill()
                raise

    def start_first(self) -> None:
        """`start`, on another port when somebody was quicker to take this one. Raises StackError."""
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                self.start()
            except StackError as error:
                if tries_left == 0 or "address already in use" not in str(error).lower():
                    raise
                self.port = free_ports(1)[0]
            else:
                return

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Let it finish, then end what is left of it; harmless when it is down. Raises StackError."""
        with self._turn:
            if self._child is not None:
                self._child.stop(grace_s)

    def restart(self) -> None:
        """Whatever state it is in, afterwards it runs afresh and is ready.

        Raises StackError. A process that came up but is not ready is left running, as an orchestrator would: what it waits for may be
        what is broken, and then it becomes ready when that is mended.
        """
        with self._turn:
            self.stop()
            self._wait_ready(self._spawn(), RESTART_DEADLINE_S)

    def kill(self) -> None:
        """End the whole process tree at once. Raises StackError when there is none."""
        with self._turn:
            self._present().kill()

    def set_paused(self, paused: bool) -> None:
        """Freeze or thaw the whole process tree. Raises StackError when there is none to freeze."""
        with self._turn:
            if paused:
                self._present().set_paused(True)
            elif self._child is not None:
                self._child.set_paused(False)

    def retire(self) -> None:
        """Ask it to end for good, without waiting: it cannot be started again."""
        with self._turn:
            self._retired = True
            if self._child is not None:
                self._child.terminate()

    def _spawn(self) -> Running:
        if self._retired:
            raise StackError(f"{self.name} is being taken down")
        self._child = self._launch.start(self)
        return self._child

    def _wait_ready(self, child: Running, deadline_s: float) -> None:
        wait_ready(self.name, self.probe, deadline_s, alive=lambda: self._given_up() or child.ended(), log_tail=child.log_tail)

    def _present(self) -> Running:
        if self._child is None or not self._child.running:
            raise StackError(f"{self.name} has no process")
        return self._child
