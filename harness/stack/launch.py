"""How every process of the reference stack is started: command line, environment, directory and log."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.stack import http_probe
from harness.stack.base import AdminApi, StackError
from harness.stack.child import Child, Command
from harness.stack.credentials import Credentials, write_private
from harness.stack.engines import Engine
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports, is_free
from harness.stack.proxies import EdgeProxies
from harness.stack.ready import Probe, wait_ready
from harness.stack.registry import RegistryFile
from harness.stack.supervise import Member
from harness.stack.topology import CHAT_MODEL, PROVIDERS, SNAPSHOTS, VECTOR, Topology, Variable
from harness.sweep import LABEL

VECTOR_LATENCY = {"read": {"lognormal_ms": {"median": 3.0, "sigma": 0.3}}, "write": {"lognormal_ms": {"median": 5.0, "sigma": 0.3}}}
"""Of the mock vector store: about what pgvector takes here, or the choice of a store would show in every latency."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")


class Launcher:
    """Commands, addresses and probes for members of every kind. `port_of` an engine is asked when a caller of it is started."""

    def __init__(
        self,
        options: StackOptions,
        topology: Topology,
        credentials: Credentials,
        registry: RegistryFile,
        proxies: EdgeProxies,
        engines: Mapping[str, Engine],
        port_of: Callable[[str], int],
    ) -> None:
        self._options = options
        self._topology = topology
        self._credentials = credentials
        self._registry = registry
        self._proxies = proxies
        self._engines = engines
        self._port_of = port_of
        self._admin_ports: dict[str, int] = {}
        self._additions: dict[str, Mapping[str, str]] = {}  # to the environment, by instance

    def prepare(self) -> None:
        """Write the files that services are given the paths of."""
        self._credentials.write_keys_file(self._keys_file)
        for mock in self._topology.programmable:
            self._faults_file(mock).unlink(missing_ok=True)  # of an earlier stack in this directory
        for provider in PROVIDERS:
            timing = self._options.timing[provider]
            profile = {
                "ttft_ms": timing.ttft_ms,
                "itl_ms": timing.itl_ms,
                "seed": self._options.seed,
                "snapshots": {CHAT_MODEL: SNAPSHOTS[provider]},
                "api_keys": [self._credentials.provider_key],
            }
            write_private(self._profile_file(provider), profile)
        if VECTOR in self._topology.services:
            vectors = {"seed": self._options.seed, "persist_dir": "vectors", "latency": VECTOR_LATENCY}
            write_private(self._profile_file(VECTOR), vectors)

    def command(self, member: Member) -> Command:
        log = self._options.logs_dir / f"{member.name}.log"
        engine = self._engines.get(member.service)
        additions = self._additions.get(member.name, {})
        if engine is not None:
            return engine.command(member.port, {**base_environment(self._options.run_id), **additions}, log)
        service = self._topology.services[member.service]
        particular = self._service_environment(member) if service.kind == "http" else self._mock_environment(member)
        environment = {
            "HOST": LOOPBACK,
            "PORT": str(member.port),
            "INSTANCE": member.name,
            "VERSION": member.version,
            **particular,
            **additions,
        }
        return python_command(service.module, environment, self._options, log, *service.arguments)

    def set_environment(self, instance: str, variables: Mapping[str, str]) -> None:
        """What its next starts get in addition."""
        self._additions[instance] = dict(variables)

    def url(self, service: str, port: int) -> str:
        engine = self._engines.get(service)
        return engine.url(port) if engine is not None else f"http://{LOOPBACK}:{port}"

    def probe(self, service: str, url: str) -> str | None:
        engine = self._engines.get(service)
        return engine.probe(url) if engine is not None else http_probe.ready(url)

    def admin(self, service: str) -> AdminApi:
        """Of a mock. Raises StackError for any other service."""
        if service not in self._admin_ports:
            raise StackError(f"{service} has no admin API; {' and '.join(self._topology.programmable)} have")
        return AdminApi(f"http://{LOOPBACK}:{self._admin_ports[service]}", self._credentials.admin_token)

    def _mock_environment(self, member: Member) -> dict[str, str]:
        port = self._admin_ports.get(member.service)
        if port is None or not is_free(port):  # a restarted one keeps it: leases of faults know the address
            port = self._admin_ports[member.service] = free_ports(1)[0]
        return {
            "VECTOR_PROFILE" if member.service == VECTOR else "LLM_PROFILE": str(self._profile_file(member.service)),
            "ADMIN_PORT": str(port),
            "ADMIN_TOKEN": self._credentials.admin_token,
            "FAULTS_FILE": str(self._faults_file(member.service)),
        }

    def _service_environment(self, member: Member) -> dict[str, str]:
        environment = {"REGISTRY_FILE": str(self._registry.path_for(member.service))}
        for variable in self._topology.services[member.service].variables:
            environment[variable] = self._value(variable, member)
        return environment

    def _value(self, variable: Variable, member: Member) -> str:
        match variable:
            case "DATABASE_URL":
                return self._engine_url(member.service, "postgres")
            case "REDIS_URL":
                return self._engine_url(member.service, "cache")
            case "KEYS_FILE":
                return str(self._keys_file)
            case "JWT_SECRET":
                return self._credentials.jwt_secret
            case "LLM_API_KEY":
                return self._credentials.provider_key
            case "VECTOR_STORE":
                return self._options.vector_store
            case "SPOOL_DIR":
                return str(self._options.work_dir / "spool" / member.name)

    def _engine_url(self, caller: str, engine: str) -> str:
        return self.url(engine, self._proxies.port(caller, engine) or self._port_of(engine))

    @property
    def _keys_file(self) -> Path:
        return self._options.work_dir / "keys.json"

    def _profile_file(self, mock: str) -> Path:
        return self._options.work_dir / f"{mock}.json"

    def _faults_file(self, mock: str) -> Path:
        """Where a mock keeps its faults over a restart, which therefore heals nothing that is wrong with a provider."""
        return self._options.work_dir / f"{mock}-faults.json"


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
