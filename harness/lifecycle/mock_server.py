"""`gauntlet mock …`: one mock as a process of its own, from its start to its end."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.lifecycle.mock_address import MockStartError, free_port, reachable
from harness.lifecycle.mock_documents import MockUsageError, with_seed
from harness.lifecycle.parent_death import end_with_parent
from harness.lifecycle.signals import Interruption
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.stack.base import AdminApi
from harness.stack.ports import LOOPBACK

READY_S = 20.0
GRACE_S = 10.0
NEEDS = ("httptools", "numpy", "orjson", "uvloop")
_POLL_S = 0.02
_LAST_WORDS_S = 1.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Kind:
    """One mock: what starts it, where it listens by default, how its profile is named, and where clients of each API send requests."""

    arguments: tuple[str, ...]
    port: int
    profile: str
    clients: Mapping[str, str]  # environment variable of a client -> path below the base URL


KINDS: Mapping[str, Kind] = {
    "llm": Kind(("mocks.llm",), 8080, "LLM_PROFILE", {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_BASE_URL": ""}),
    "qdrant": Kind(("mocks.vector", "qdrant"), 6333, "VECTOR_PROFILE", {"QDRANT_URL": ""}),
    "chroma": Kind(("mocks.vector", "chroma"), 8000, "VECTOR_PROFILE", {"CHROMA_URL": ""}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for. Ports may be 0: any that is free. `faults` are documents of the admin API."""

    kind: str
    host: str = LOOPBACK
    port: int | None = None
    admin_port: int = 0
    token: str = ""
    profile: Path | None = None
    seed: int | None = None
    faults: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    quiet: bool = False


class MockServer:
    """A mock that runs until it is stopped, and that ends with this process however that ends."""

    def __init__(self, asked: Asked, clock: Clock | None = None) -> None:
        """Check what can be checked; nothing is started. Raises MockUsageError or MockStartError."""
        check_installed()
        self._asked = asked
        self._clock = clock or SystemClock()
        self._kind = KINDS[asked.kind]
        port = self._kind.port if asked.port is None else asked.port
        if port and port == asked.admin_port:
            raise MockUsageError(f"--port and --admin-port are both {port}; the admin API has a port of its own")
        self._port = free_port(asked.host, port, "--port", but=asked.admin_port)
        self._admin_port = free_port(asked.host, asked.admin_port, "--admin-port", but=self._port)
        self._last_words = ""
        self._cleanup = ExitStack()
        self._process: subprocess.Popen[str] | None = None
        self._log: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL, as this machine reaches it."""
        return f"http://{reachable(self._asked.host)}:{self._port}"

    @property
    def admin(self) -> AdminApi:
        return AdminApi(f"http://{reachable(self._asked.host)}:{self._admin_port}", self._asked.token)

    def describe(self) -> dict[str, Any]:
        """What a client needs to know, JSON-ready."""
        return {
            "mock": self._asked.kind,
            "pid": self._process.pid if self._process else None,
            "url": self.url,
            "env": {name: self.url + path for name, path in self._kind.clients.items()},
            "admin_url": self.admin.url,
            "admin_token": self.admin.token,
            "faults": [str(fault["id"]) for fault in self._asked.faults],
        }

    def start(self, say: Callable[[str], None]) -> None:
        """Start it, put the faults in force, and return once it answers; `say` gets the lines of its log.

        Raises like the constructor; then, too, it wants to be stopped.
        """
        self._process = subprocess.Popen(
            (sys.executable, "-P", "-m", *self._kind.arguments),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us, who pass it on in order
            preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # no other thread of ours runs yet
        )
        self._log = threading.Thread(target=self._listen, args=(say,), name="mock log", daemon=True)
        self._log.start()
        self._wait_ready()
        for fault in self._asked.faults:
            self._put(fault)

    def wait(self, interruption: Interruption) -> str | None:
        """Until a signal comes: None. Where it ends by itself, how."""
        process = self._running()
        while process.poll() is None:
            if interruption.signal is not None:
                return None
            self._clock.sleep(_POLL_S)
        code = process.returncode
        return f"the mock was killed by {_signal_name(-code)}" if code < 0 else f"the mock ended by itself: exit status {code}"

    def stop(self) -> None:
        """End it, by force after GRACE_S. Idempotent."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._hear_out()
        self._cleanup.close()

    def _environment(self) -> dict[str, str]:
        """Secrets travel in it, never in the process list."""
        asked = self._asked
        found = clean_environment() | {
            "HOST": asked.host,
            "PORT": str(self._port),
            "ADMIN_PORT": str(self._admin_port),
            "ADMIN_TOKEN": asked.token,
            "INSTANCE": f"{asked.kind}-1",
            "LOG_LEVEL": "warning" if asked.quiet else "info",
        }
        profile = self._profile()
        return found | ({self._kind.profile: str(profile)} if profile is not None else {})

    def _profile(self) -> Path | None:
        """The profile as given; with a seed, a copy that has it."""
        asked = self._asked
        if asked.seed is None:
            return asked.profile.resolve() if asked.profile is not None else None
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="gauntlet-mock-")))
        copy = folder / "profile.json"
        copy.touch(mode=0o600)  # it may hold keys
        copy.write_text(json.dumps(with_seed(asked.profile, asked.seed)), encoding="utf-8")
        return copy

    def _wait_ready(self) -> None:
        process = self._running()
        deadline_ns = self._clock.now_ns() + round(READY_S * NS_PER_S)
        while not self._answers():
            if process.poll() is not None:
                self._hear_out()
                why = self._last_words or f"exit status {process.returncode}"
                raise (MockUsageError if process.returncode == 2 else MockStartError)(f"the mock did not start: {why}")
            if self._clock.now_ns() > deadline_ns:
                raise MockStartError(f"the mock did not answer within {READY_S:g}s")
            self._clock.sleep(_POLL_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((reachable(self._asked.host, bare=True), self._port), timeout=1.0):
                call(self.admin, "GET", "/admin/faults")
        except (OSError, FaultError):
            return False
        return True

    def _put(self, fault: Mapping[str, Any]) -> None:
        path = f"/admin/faults/{quote(str(fault['id']), safe='')}"
        try:
            call(self.admin, "PUT", path, {name: value for name, value in fault.items() if name != "id"})
        except (FaultError, OSError) as error:
            reason = str(error).partition(": ")[2] or str(error)
            raise MockUsageError(f"fault {fault['id']} is refused: {reason}") from error

    def _listen(self, say: Callable[[str], None]) -> None:
        """Read on even where nobody hears it any more: a mock whose log is not read stops answering."""
        heard = True
        for line in self._running().stdout or ():
            self._last_words = line.rstrip("\n") or self._last_words
            if heard:
                try:
                    say(line.rstrip("\n"))
                except OSError:
                    heard = False

    def _hear_out(self) -> None:
        """What a mock that has ended said last."""
        if self._log is not None:
            self._log.join(_LAST_WORDS_S)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise MockStartError("the mock was not started")
        return self._process


def check_installed() -> None:
    """Raises MockUsageError that says what to install for the mocks."""
    lacking = [name for name in (*NEEDS, "mocks") if importlib.util.find_spec(name) is None]
    if lacking:
        raise MockUsageError(f"`gauntlet mock` needs {', '.join(lacking)}, which is not installed: pip install 'rag-gauntlet[mocks]'")


def clean_environment() -> dict[str, str]:
    """Enough of ours to run a module of this installation: settings of the harness are none of a mock's business."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    ours = str(Path(__file__).resolve().parents[2])  # where `mocks` lies, also in a source tree
    return {**found, "PYTHONPATH": os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))}


def _signal_name(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")  # those for real time have no names
