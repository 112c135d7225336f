"""The reference RAG stack as Docker containers on a private network, published on loopback alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import mounts
from harness.record.clock import Clock
from harness.stack import faketime
from harness.stack.base import Front, Limits, Place, StackError, Stress
from harness.stack.catalog import reference_info
from harness.stack.certificates import Certificates
from harness.stack.containers.launch import SERVERS, ContainerLauncher, hand_over
from harness.stack.containers.proxies import ContainerProxies
from harness.stack.containers.site import IMAGES, Site
from harness.stack.containers.tools import ExecStress, NetworkTools
from harness.stack.options import VOLUME_BYTES, StackOptions
from harness.stack.ports import LOOPBACK
from harness.stack.reference import ReferenceStack
from harness.stack.topology import INGRESS, instance_name


class ContainerStack(ReferenceStack):
    """`Stack` of containers, with the same services and data as of processes. A stopped one cannot be started again.

    Corpus and migration run on this machine, so that both drivers hold the very same documents.
    """

    def __init__(self, options: StackOptions, clock: Clock | None = None) -> None:
        """Check the options; nothing is started, and no engine is asked. Raises ValueError."""
        super().__init__(options, reference_info(options.replicas, options.vector_store, "containers", tls=options.tls), clock)
        self._site = Site(options.run_id, options.side)
        self._tools = NetworkTools(self._site)
        self._launcher: ContainerLauncher = ContainerLauncher(options, self._topology, self._environments, self._site)
        self._proxies: ContainerProxies = ContainerProxies(options, self._credentials.admin_token, self._site, self._reason_to_give_up)
        self._certificates = Certificates(self._launcher.certificates, (LOOPBACK, "localhost", INGRESS), self._hand_over)

    @property
    def front(self) -> Front | None:
        """The ingress, where the stack has one."""
        return Front(self._roster.get(instance_name(INGRESS, 1)).url, self._certificates.authority) if self._options.tls else None

    def targets(self) -> Mapping[str, Any]:
        found = super().targets()
        return {**found, "trusted": str(self._certificates.authority)} if self._options.tls else found

    # --- capabilities that only containers have, or have in another way

    def place(self, instance: str) -> Place:
        self._roster.get(instance)
        container = self._launcher.container(instance)
        pid = container.pid
        if pid is None:
            raise StackError(f"{instance} runs, but the engine's processes are not seen from here")
        if self._is_written_here(instance):
            state = self._environments.state_of(instance)
            return Place(pid, container.id, state, str(state))
        return Place(pid, container.id, data=SERVERS[self._roster.get(instance).service].data)

    def limit(self, instance: str, limits: Limits) -> Limits:
        return self._launcher.limit(self._roster.get(instance), limits)

    def limit_disk(self, instance: str, bytes_per_s: int | None) -> None:
        self._launcher.limit_disk(self._roster.get(instance), bytes_per_s)

    def volume(self, instance: str) -> Path:
        service = self._roster.get(instance).service
        if service not in self._options.volumes:
            raise StackError(f"the data of {instance} lie on no file system of their own")
        return self._launcher.volume_of(service)

    def stress(self, instance: str, script: Path, arguments: Sequence[str]) -> Stress:
        self._roster.get(instance)
        return ExecStress(self._site.api, self._launcher.container(instance), script, arguments)

    def set_wrapper(self, instance: str, script: Path | None, arguments: Sequence[str]) -> None:
        self._roster.get(instance)
        self._launcher.wrap(instance, script, arguments)

    def run_in_network(self, instance: str, argv: Sequence[str]) -> str:
        self._roster.get(instance)
        return self._tools.run(instance, self._launcher.container(instance), argv)

    def set_clock(self, instance: str, offset_s: float, rate: float) -> None:
        library = faketime.library()
        if library is None:
            raise StackError("another clock needs libfaketime: pip install 'rag-gauntlet[clock]'")
        self._roster.get(instance)
        shown = self._options.work_dir / "clock" / library.name  # containers are shown what lies below the work directory
        if not shown.exists():  # never twice: processes run what is in the file
            shown.parent.mkdir()
            shutil.copy(library, shown)
        if self._environments.set_clock(instance, shown, offset_s, rate):
            self.restart(instance)

    def set_certificate(self, service: str, expired: bool) -> None:
        """By a reload: requests under way end as they began, idle connections are closed."""
        if service != INGRESS or not self._options.tls:
            raise StackError(f"{service} ends no TLS" + ("" if self._options.tls else ": the stack was started without `tls`"))
        self._certificates.serve(expired)
        for member in self._roster.of(service):
            if member.running:  # one that is down reads its files when it starts
                self._launcher.container(member.name).signal("SIGHUP")

    # --- the start

    def _lay_out(self) -> Mapping[str, str]:
        engines = {service: engine for service, engine in SERVERS.items() if service in self._topology.services}
        self._site.open({*IMAGES, *(engine.image for engine in engines.values())})
        if self._options.tls:
            self._certificates.make()
        return {service: self._site.image(engine.image).rpartition(":")[2] for service, engine in engines.items()}

    def _hand_over(self, path: Path) -> None:
        hand_over(path)

    def _prepare_engine(self, service: str) -> None:
        """Its image prepares an empty volume, or an empty file system that it is shown in the place of one."""
        if service in self._options.volumes:
            folder = self._launcher.volume_of(service)
            folder.mkdir(mode=0o700, parents=True)
            hand_over(folder)
            try:
                mounts.mount(folder, VOLUME_BYTES)
            except OSError as error:
                raise StackError(f"a file system for the data of {service}: {error.strerror}") from error

    def _engine_url(self, caller: str, engine: str) -> str:
        url = self._roster.get(instance_name(engine, 1)).inside_url
        return self._proxies.in_place_of(caller, engine, url)

    def _start_proxy(self, caller: str, callee: str) -> None:
        if self._in_registry(callee):
            self._proxies.start(caller, callee)
            self._registry.detour(caller, callee, self._proxies.via(caller, callee))
        else:
            self._proxies.start(caller, callee, self._roster.get(instance_name(callee, 1)).inside_url)

    def _clear_away(self) -> Sequence[str]:
        return [*self._site.clear(), *map(str, mounts.unmount_below(self._options.work_dir))]

    def _is_written_here(self, instance: str) -> bool:
        return self._roster.get(instance).service not in SERVERS
