"""The reference RAG stack as child processes on loopback: no container, no root, everything below one temporary folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import psutil

from harness import mounts
from harness.record.clock import Clock
from harness.stack import faketime
from harness.stack.base import Limits, Place, StackError, Stress
from harness.stack.beside import run_beside
from harness.stack.catalog import reference_info
from harness.stack.child import Command
from harness.stack.disks import device_of
from harness.stack.engines import Engine
from harness.stack.groups import InstanceGroups
from harness.stack.launch import Launcher, python_command
from harness.stack.options import VOLUME_BYTES, StackOptions
from harness.stack.postgres import Postgres
from harness.stack.proxies import EdgeProxies
from harness.stack.reference import ReferenceStack
from harness.stack.topology import instance_name
from harness.stack.valkey import Valkey


class ProcessStack(ReferenceStack):
    """`Stack` of local processes. A stopped one cannot be started again."""

    def __init__(self, options: StackOptions, clock: Clock | None = None) -> None:
        """Check the options; nothing is started. Raises ValueError."""
        super().__init__(options, reference_info(options.replicas, options.vector_store), clock)
        self._engines: dict[str, Engine] = {}
        self._groups = InstanceGroups(f"{options.run_id}.{options.side}" if options.side else options.run_id)
        self._stresses = count(1)
        self._launcher: Launcher = Launcher(options, self._topology, self._environments, self._engines, self._groups)
        self._proxies: EdgeProxies = EdgeProxies(options, self._credentials.admin_token, self._proxy_command, self._reason_to_give_up)

    # --- capabilities that only local processes have, or have in another way

    def place(self, instance: str) -> Place:
        pid = self._roster.get(instance).describe().pid
        if pid is None:
            raise StackError(f"{instance} does not run")
        return Place(pid, directory=self._options.work_dir)

    def limit(self, instance: str, limits: Limits) -> Limits:
        pid = self._roster.get(instance).describe().pid
        return self._groups.limit(instance, _tree(pid) if pid is not None else (), limits)

    def limit_disk(self, instance: str, bytes_per_s: int | None) -> None:
        pid = self._roster.get(instance).describe().pid
        device = device_of(self._options.work_dir)
        self._groups.limit_disk(instance, _tree(pid) if pid is not None else (), device, bytes_per_s)

    def stress(self, instance: str, script: Path, arguments: Sequence[str]) -> Stress:
        return run_beside(instance, self.place(instance).pid, next(self._stresses), script, arguments, self._options, self._groups)

    def volume(self, instance: str) -> Path:
        service = self._roster.get(instance).service
        if service not in self._options.volumes:
            raise StackError(f"the data of {instance} lie on no file system of their own")
        return self._engines[service].data

    def set_wrapper(self, instance: str, script: Path | None, arguments: Sequence[str]) -> None:
        self._roster.get(instance)
        self._launcher.wrap(instance, script, arguments)

    def set_clock(self, instance: str, offset_s: float, rate: float) -> None:
        library = faketime.library()
        if library is None:
            raise StackError("another clock needs libfaketime: pip install 'rag-gauntlet[clock]'")
        self._roster.get(instance)
        if self._environments.set_clock(instance, library, offset_s, rate):
            self.restart(instance)

    # --- the start

    def _lay_out(self) -> Mapping[str, str]:
        self._engines["postgres"] = Postgres.find(self._options.work_dir / "postgres")
        self._engines["cache"] = Valkey.find(self._options.work_dir / "cache")
        return {name: engine.version for name, engine in self._engines.items()}

    def _prepare_engine(self, service: str) -> None:
        engine = self._engines[service]
        if service in self._options.volumes:
            engine.data.mkdir(mode=0o700, exist_ok=True)
            try:
                mounts.mount(engine.data, VOLUME_BYTES)
            except OSError as error:
                raise StackError(f"a file system for the data of {service}: {error.strerror}") from error
        engine.prepare()

    def _engine_url(self, caller: str, engine: str) -> str:
        return self._launcher.url(engine, self._proxies.port(caller, engine) or self._port_of_single(engine))

    def _start_proxy(self, caller: str, callee: str) -> None:
        if self._in_registry(callee):
            self._proxies.start(caller, callee)
            self._registry.detour(caller, callee, self._proxies.via(caller, callee))
        else:
            self._proxies.start(caller, callee, self._port_of_single(callee))

    def _proxy_command(self, log: str, environment: dict[str, str], arguments: tuple[str, ...]) -> Command:
        # its log lies in the work directory: the run's logs are telemetry, and the stack knows no proxy
        return python_command("harness.faults.proxy", environment, self._options, self._options.work_dir / log, *arguments)

    def _port_of_single(self, service: str) -> int:
        return self._roster.get(instance_name(service, 1)).port

    def _hand_over(self, path: Path) -> None:
        """Nothing: services run as the caller."""

    def _clear_away(self) -> Sequence[str]:
        left = mounts.unmount_below(self._options.work_dir)
        return [*map(str, left), *self._groups.remove()]  # the rest lies in the work directory


def _tree(pid: int) -> list[int]:
    """The process and its descendants; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root.pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []
