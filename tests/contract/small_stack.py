"""A stack of tiny but real processes, with every capability that a fault may need: the catalogue's contract can be tested in seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.faults import roundtrip
from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.faults.undo import process_tree
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.catalog import StackInfo
from harness.stack.base import AdminApi, Instance, StackError
from harness.stack.ports import free_ports

ROOT = Path(__file__).parents[2]
READY_S = 60.0
ADMIN_TOKEN = "admin"
PROVIDER_KEY = "provider"
EDGE = ("retrieval", "cache")
LLM_PROFILE = {"ttft_ms": 5, "itl_ms": 0, "api_keys": [PROVIDER_KEY]}
VECTOR_PROFILE = {"latency": {"read": {"constant_ms": 3}}}
MOCKS = ("llm", "vector")


@dataclass
class Member:
    """One process and where it listens."""

    service: str
    name: str
    port: int
    version: str = "1.0.0"
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None


class SmallStack:
    """Satisfies `Stack` and Killable, Restartable, Pausable, Proxied, Programmable, Rollbackable. `llm` and `vector` are the mocks."""

    info = StackInfo(
        name="small",
        services={"retrieval": 2, "cache": 1, "llm": 1, "vector": 1},
        edges=frozenset({EDGE, ("retrieval", "llm"), ("retrieval", "vector")}),
        capabilities=frozenset({"Killable", "Restartable", "Pausable", "Proxied", "Programmable", "Rollbackable"}),
        journeys=frozenset(),
        proxyable=frozenset({EDGE}),
        programmable=frozenset(MOCKS),
        roles={"llm": "llm", "vector": "vector"},
    )
    entry_url = ""
    api_key = None
    provider_key = PROVIDER_KEY

    def __init__(self, folder: Path, vector_store: str = "qdrant") -> None:
        self._folder = folder
        self._mocks = {"llm": ("mocks.llm",), "vector": ("mocks.vector", vector_store)}
        self._clock = SystemClock()
        names = [(service, f"{service}-{n + 1}") for service, count in self.info.services.items() for n in range(count)]
        ports = iter(free_ports(len(names) + len(MOCKS)))
        self._members = {name: Member(service, name, next(ports)) for service, name in names}
        self._admin_ports = {mock: next(ports) for mock in MOCKS}
        self._proxy_admin_port = 0
        self._proxy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self._folder / "profile.json").write_text(json.dumps(LLM_PROFILE))
        for member in self._members.values():
            self._start(member)
        places = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{self._members['cache-1'].port}", "--admin", "127.0.0.1:0"]
        argv = [sys.executable, "-m", "harness.faults.proxy", *places, "--token", ADMIN_TOKEN]
        self._proxy = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._proxy.stdout is not None
        self._proxy_admin_port = json.loads(self._proxy.stdout.readline())["admin"]

    def stop(self) -> None:
        for member in self._members.values():
            if member.pid is not None:
                self.kill(member.name)
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.communicate(timeout=READY_S)

    def instances(self, service: str) -> Sequence[Instance]:
        return [self._describe(member) for member in self._members.values() if member.service == service]

    def probe(self, instance: Instance) -> str | None:
        try:
            roundtrip.once(roundtrip.of_url(instance.url), self._clock, timeout_s=1.0)
        except roundtrip.RoundTripError as error:
            return str(error)
        return None

    def targets(self) -> Mapping[str, Any]:
        return {}

    def kill(self, instance: str) -> None:
        member = self._members[instance]
        if member.process is None or member.pid is None:
            raise StackError(f"{instance} has no process")
        member.process.kill()
        member.process.wait()

    def restart(self, instance: str) -> None:
        member = self._members[instance]
        if member.pid is not None:
            self.kill(instance)
        self._start(member)

    def set_paused(self, instance: str, paused: bool) -> None:
        member = self._members[instance]
        for process in process_tree(member.pid) if member.pid is not None else ():
            process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def proxy(self, caller: str, callee: str) -> AdminApi:
        if (caller, callee) != EDGE:
            raise StackError(f"no proxy on {caller}->{callee}")
        return AdminApi(f"http://127.0.0.1:{self._proxy_admin_port}", ADMIN_TOKEN)

    def admin(self, service: str) -> AdminApi:
        if service not in MOCKS:
            raise StackError(f"{service} has no admin API")
        return AdminApi(f"http://127.0.0.1:{self._admin_ports[service]}", ADMIN_TOKEN)

    def deploy(self, service: str, version: str) -> str:
        before = ""
        for member in [m for m in self._members.values() if m.service == service]:
            before, member.version = member.version, version
            self.restart(member.name)
        return before

    def _describe(self, member: Member) -> Instance:
        scheme = "redis" if member.service == "cache" else "http"
        return Instance(member.service, member.name, f"{scheme}://127.0.0.1:{member.port}", member.version, member.pid)

    def _start(self, member: Member) -> None:
        kind = "redis" if member.service == "cache" else "http"
        argv = ["tests.contract.tiny_service", kind, str(member.port), member.version]
        env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}  # an instance is the same in every test
        if member.service in MOCKS:
            argv = [*self._mocks[member.service]]
            env |= {"PORT": str(member.port), "LOG_LEVEL": "error", "VECTOR_PROFILE": json.dumps(VECTOR_PROFILE)}
            env |= {"LLM_PROFILE": str(self._folder / "profile.json")}
            env |= {"ADMIN_PORT": str(self._admin_ports[member.service]), "ADMIN_TOKEN": ADMIN_TOKEN}
        with (self._folder / f"{member.name}.log").open("ab") as log:
            member.process = subprocess.Popen([sys.executable, "-m", *argv], cwd=ROOT, env=env, stdout=log, stderr=log)
        deadline_ns = self._clock.now_ns() + round(READY_S * NS_PER_S)
        while (reason := self._reason_to_wait(member)) is not None:
            if self._clock.now_ns() > deadline_ns or member.pid is None:
                raise StackError(f"{member.name}: {reason}: {(self._folder / f'{member.name}.log').read_text()[-500:]}")
            self._clock.sleep(0.02)

    def _reason_to_wait(self, member: Member) -> str | None:
        """A mock listens on two ports, one after the other."""
        if (reason := self.probe(self._describe(member))) is not None or member.service not in MOCKS:
            return reason
        try:
            call(self.admin(member.service), "GET", "/admin/faults")
        except (ConnectionError, FaultError) as error:
            return f"admin API: {error}"
        return None
