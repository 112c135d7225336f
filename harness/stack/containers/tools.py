"""What is run for a moment beside an instance: network tools in its network namespace, and programs within its limits."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from harness.stack.base import StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import Container, remove
from harness.stack.containers.site import Site
from harness.stack.ready import wait_ready
from harness.sweep_containers import RUN_LABEL

TOOL_TIMEOUT_S = 15.0
END_WAIT_S = 5.0
_CONFLICT = 409


def run_in_network(site: Site, container: Container, argv: Sequence[str]) -> str:
    """One-shot: a container of its own that shares the other's network and has the right to change it; the other gets none.

    Returns what it printed. Raises StackError with that when it fails.
    """
    api = site.api
    spec = {
        "Image": site.image("tools"),
        "Cmd": list(argv),
        "User": "0",
        "Labels": {RUN_LABEL: site.run_id},
        "HostConfig": {"NetworkMode": f"container:{container.id}", "CapDrop": ["ALL"], "CapAdd": ["NET_ADMIN", "NET_RAW"]},
    }
    tool = str(api.call("POST", "/containers/create", spec)["Id"])
    try:
        api.call("POST", f"/containers/{tool}/start")
        status = api.call("POST", f"/containers/{tool}/wait", timeout_s=TOOL_TIMEOUT_S)["StatusCode"]
        streams = {"stdout": True, "stderr": True}
        printed = b"".join(api.output(f"/containers/{tool}/logs", streams)).decode("utf-8", errors="replace")
    finally:
        remove(api, tool)
    if status != 0:
        raise StackError(f"{' '.join(argv)} failed with exit status {status}: {printed.strip()}")
    return printed


class ExecStress:
    """A `Stress`: a Python program that the engine runs in a container, within its limits and as its user."""

    def __init__(self, api: EngineApi, container: Container, script: Path, arguments: Sequence[str]) -> None:
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
        wait_ready("the program", self._not_started, TOOL_TIMEOUT_S, alive=lambda: self._refused, log_tail=self.output)

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
