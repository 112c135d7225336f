"""How every process of the reference stack is started: command line, environment, directory and log."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.stack import http_probe
from harness.stack.base import StackError
from harness.stack.child import Child, Command
from harness.stack.engines import Engine
from harness.stack.environment import Environments
from harness.stack.groups import InstanceGroups
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports, is_free
from harness.stack.ready import Probe, wait_ready
from harness.stack.supervise import Member
from harness.stack.topology import Topology
from harness.sweep import LABEL

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")


class Launcher:
    """Processes, addresses and probes for members of every kind: the `Launch` of embedded ones."""

    def __init__(
        self,
        options: StackOptions,
        topology: Topology,
        environments: Environments,
        engines: Mapping[str, Engine],
        groups: InstanceGroups,
    ) -> None:
        self._options = options
        self._topology = topology
        self._environments = environments
        self._engines = engines
        self._groups = groups
        self._admin_ports: dict[str, int] = {}
        self._wrappers: dict[str, tuple[str, ...]] = {}  # what goes before the command, by instance

    def start(self, member: Member) -> Child:
        child = Child(self.command(member))
        self._groups.admit(member.name, child.pid)
        return child

    def wrap(self, instance: str, script: Path | None, arguments: Sequence[str]) -> None:
        """Run its next starts under a Python script; None: as declared."""
        self._wrappers[instance] = () if script is None else (sys.executable, "-I", "-S", str(script), *arguments, "--")

    def command(self, member: Member) -> Command:
        """How the member is started now."""
        declared = self._declared(member)
        return replace(declared, argv=(*self._wrappers.get(member.name, ()), *declared.argv))

    def _declared(self, member: Member) -> Command:
        log = self._options.logs_dir / f"{member.name}.log"
        engine = self._engines.get(member.service)
        if engine is not None:
            added = self._environments.added_to(member.name)
            return engine.command(member.port, {**base_environment(self._options.run_id), **added}, log)
        service = self._topology.services[member.service]
        listening = {"HOST": LOOPBACK, "PORT": str(member.port)}
        admin = {"ADMIN_PORT": str(self._admin_port(member.service))} if member.service in self._topology.programmable else {}
        environment = self._environments.of(member, listening, admin)
        return python_command(service.module, environment, self._options, log, *service.arguments)

    def url(self, service: str, port: int) -> str:
        engine = self._engines.get(service)
        return engine.url(port) if engine is not None else f"http://{LOOPBACK}:{port}"

    def inside_url(self, member: Member) -> str:
        return self.url(member.service, member.port)

    def probe(self, service: str, url: str) -> str | None:
        engine = self._engines.get(service)
        return engine.probe(url) if engine is not None else http_probe.ready(url)

    def admin_url(self, service: str) -> str | None:
        return f"http://{LOOPBACK}:{self._admin_ports[service]}" if service in self._admin_ports else None

    def _admin_port(self, mock: str) -> int:
        port = self._admin_ports.get(mock)
        if port is None or not is_free(port):  # a restarted one keeps it: leases of faults know the address
            port = self._admin_ports[mock] = free_ports(1)[0]
        return port


def base_environment(run_id: str) -> dict[str, str]:
    """What every process gets: enough of the caller's environment to run, and the label that the sweep looks for.

    Nothing else is inherited: a proxy variable would send loopback calls elsewhere, and settings of the harness are none of its business.
    """
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {LABEL: run_id}


def python_command(module: str, environment: Mapping[str, str], options: StackOptions, log: Path, *arguments: str) -> Command:
    """`python -m module`, working in the work directory."""
    return Command(
        argv=(sys.executable, "-P", "-m", module, *arguments),
        env={**base_environment(options.run_id), "PYTHONPATH": _import_path(module), **environment},
        cwd=options.work_dir,
        log=log,
    )


def run_to_end(what: str, command: Command, deadline_s: float, given_up: Probe) -> None:
    """Run a command that ends by itself. Raises StackError when it fails or takes too long."""
    child = Child(command)
    try:
        wait_ready(what, lambda: "still at work" if child.running else None, deadline_s, alive=given_up, log_tail=child.log_tail)
    finally:
        child.kill()
    if (ended := child.ended()) != "exit status 0":
        raise StackError(f"{what} failed: {ended}\n--- end of its log ---\n{child.log_tail().strip()}")


def _import_path(module: str) -> str:
    """The folder of the module's top-level package, which a child that works elsewhere must find in a source tree, too; then ours."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"the package of {module} is not installed")
    folder = str(Path(next(iter(spec.submodule_search_locations))).parent)
    return os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH")) if part)
