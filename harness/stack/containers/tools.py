"""What is run for a moment beside an instance: network tools in its network namespace, and programs within its limits."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

from harness.stack.base import StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import remove
from harness.stack.containers.site import Site
from harness.stack.ready import wait_ready
from harness.sweep_containers import TOOLS_LABEL

START_TIMEOUT_S = 15.0
END_WAIT_S = 5.0
LASTS_S = 86_400
"""Longer than any run, which removes it."""


class Contained(Protocol):
    """Whatever is in a container that runs."""

    @property
    def id(self) -> str: ...


class NetworkTools:
    """Containers that share the network of one instance each, and have the right to change it; the instance gets none.

    Made when they are first wanted, and kept: a command in one that runs takes a fifth of the time that a container of its own does.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}  # by instance
        self._beside: dict[str, tuple[str, str]] = {}  # instance -> (start of its container, the one with the tools)

    def run(self, instance: str, container: Contained, argv: Sequence[str]) -> str:
        """Run a tool in the network of the instance's container; returns what it printed. Raises StackError with that when it fails."""
        api = self._site.api
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)}
        started = str(api.call("POST", f"/containers/{self._tools(instance, container)}/exec", body)["Id"])
        pieces = api.attached(f"/exec/{started}/start", {"Detach": False, "Tty": False})
        printed = b"".join(pieces).decode("utf-8", errors="replace")
        status = api.call("GET", f"/exec/{started}/json")["ExitCode"]
        if status != 0:
            raise StackError(f"{' '.join(argv)} failed with exit status {status}: {printed.strip()}")
        return printed

    def _tools(self, instance: str, container: Contained) -> str:
        with self._lock:
            turn = self._turns.setdefault(instance, threading.Lock())
        with turn:
            start = container.id + self._site.api.call("GET", f"/containers/{container.id}/json")["State"]["StartedAt"]
            beside, tools = self._beside.get(instance, ("", ""))
            if beside != start:  # another start has another network
                if tools:
                    remove(self._site.api, tools)
                tools = self._start(instance, container)
                self._beside[instance] = (start, tools)
            return tools

    def _start(self, instance: str, container: Contained) -> str:
        api = self._site.api
        spec = {
            "Image": self._site.image("tools"),
            "Cmd": ["sleep", str(LASTS_S)],
            "User": "0",
            "Healthcheck": {"Test": ["NONE"]},  # it only sleeps; what is run in it answers for itself
            "Labels": {**self._site.labels, TOOLS_LABEL: instance},
            "HostConfig": {
                "NetworkMode": f"container:{container.id}",
                "CapDrop": ["ALL"],
                "CapAdd": ["NET_ADMIN", "NET_RAW"],
                "SecurityOpt": ["no-new-privileges"],
            },
        }
        name = self._site.name_of(f"tools-{instance}")  # as one of the instance's own, which come and go with its starts
        tools = str(api.call("POST", "/containers/create", spec, query={"name": name})["Id"])
        try:
            api.call("POST", f"/containers/{tools}/start")
        except EngineError:
            remove(api, tools)
            raise
        return tools


class ExecStress:
    """A `Stress`: a Python program that the engine runs in a container, within its limits and as its user."""

    def __init__(self, api: EngineApi, container: Contained, script: Path, arguments: Sequence[str]) -> None:
        """Start it. Raises StackError."""
        self._api = api
        self._container = container
        self._pieces: list[bytes] = []
        self._pid = 0
        self._refused: str | None = None
        self._over = threading.Event()
        # by argument: the container's file system is read-only, and shares no folder for this with anybody
        command = ["python3", "-c", script.read_text(encoding="utf-8"), *arguments]
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": command}
        self._exec = str(api.call("POST", f"/containers/{container.id}/exec", body)["Id"])
        threading.Thread(target=self._follow, name=f"stress in {container.id[:12]}", daemon=True).start()
        wait_ready("the program", self._not_started, START_TIMEOUT_S, alive=lambda: self._refused, log_tail=self.output)

    @property
    def pid(self) -> int:
        return self._pid

    def output(self) -> str:
        return b"".join(self._pieces).decode("utf-8", errors="replace")

    def end(self) -> None:
        if self._over.is_set():
            return
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._kill(process.pid)
        if not self._over.wait(END_WAIT_S) and self._inspect()["Running"]:
            raise StackError(f"process {self._pid} survives SIGKILL")

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        except PermissionError:  # the container's user is not ours: by its number inside, as that user
            inside = _inside_pid(pid)
            if inside is not None:
                body = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["kill", "-KILL", str(inside)]}
                killing = self._api.call("POST", f"/containers/{self._container.id}/exec", body)["Id"]
                list(self._api.attached(f"/exec/{killing}/start", {"Detach": False, "Tty": False}))

    def _not_started(self) -> str | None:
        self._pid = self._inspect()["Pid"]
        return None if self._pid != 0 else "the engine has not started it"

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.call("GET", f"/exec/{self._exec}/json")
        return found

    def _follow(self) -> None:
        try:
            for piece in self._api.attached(f"/exec/{self._exec}/start", {"Detach": False, "Tty": False}):
                self._pieces.append(piece)
            if self._inspect()["Pid"] == 0:
                self._refused = "it did not start"
        except EngineError as error:
            self._refused = str(error)
        finally:
            self._over.set()


def _inside_pid(pid: int) -> int | None:
    """The number that a process has in its own namespace; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), None)
