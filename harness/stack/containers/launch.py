"""How every container of the reference stack is started: image, command, environment, folders, ports, limits and log."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import cgroups
from harness.stack import http_probe, postgres, valkey
from harness.stack.base import Limits, StackError
from harness.stack.containers.container import Container, ContainerSpec, Mount
from harness.stack.containers.site import Site
from harness.stack.disks import device_of
from harness.stack.environment import Environments
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports
from harness.stack.supervise import Member
from harness.stack.topology import ENTRY, INGRESS, Topology

HTTP_PORT = 8080
ADMIN_PORT = 8081
MIB = 1 << 20
NOBODY = 65534
SERVICE_LIMITS = Limits(cpus=1.0, memory_bytes=384 * MIB)


@dataclass(frozen=True, slots=True)
class ContainedEngine:
    """A server that is not ours in a container: its image, its port there, what makes it like the embedded one, and how it is asked."""

    image: str
    port: int
    data: str  # where its volume goes; of what ends TLS, its certificate
    command: tuple[str, ...]
    environment: Mapping[str, str]
    limits: Limits
    url: Callable[[str, int], str]  # (host, port)
    probe: Callable[[str], str | None]  # by URL


ENGINES: Mapping[str, ContainedEngine] = {
    "postgres": ContainedEngine(
        image="postgres",
        port=5432,
        data="/var/lib/postgresql/data",
        command=tuple(part for name, value in postgres.SETTINGS.items() for part in ("-c", f"{name}={value}")),
        environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},  # its network is private, its published port on loopback
        limits=Limits(cpus=1.5, memory_bytes=768 * MIB),
        url=postgres.url,
        probe=postgres.probe,
    ),
    "cache": ContainedEngine(
        image="valkey",
        port=6379,
        data="/data",
        command=valkey.PERSISTENCE,
        environment={},
        limits=Limits(cpus=1.0, memory_bytes=256 * MIB),
        url=valkey.url,
        probe=valkey.probe,
    ),
}
"""By service: what keeps data."""

SERVERS: Mapping[str, ContainedEngine] = {
    **ENGINES,
    INGRESS: ContainedEngine(
        image="nginx",
        port=8443,
        data="/run/tls",
        command=(),
        environment={"GATEWAY": f"{ENTRY}:{HTTP_PORT}"},
        limits=Limits(cpus=0.5, memory_bytes=64 * MIB),
        url=lambda host, port: f"https://{host}:{port}",
        probe=http_probe.ends_tls,
    ),
}
"""By service: all that is not ours."""


class ContainerLauncher:
    """Containers, addresses and probes for members of every kind: the `Launch` of contained ones."""

    def __init__(self, options: StackOptions, topology: Topology, environments: Environments, site: Site) -> None:
        self._options = options
        self._topology = topology
        self._environments = environments
        self._site = site
        self._admin_ports: dict[str, int] = {}
        self._limits: dict[str, Limits] = {}  # by instance, where they are not as declared
        self._disk_limits: dict[str, int | None] = {}
        self._wrappers: dict[str, tuple[str, ...]] = {}  # what goes before the command, by instance
        self._containers: dict[str, Container] = {}  # the latest of each instance

    def start(self, member: Member) -> Container:
        engine = SERVERS.get(member.service)
        spec = self._service(member) if engine is None else self._engine(member, engine)
        if wrapper := self._wrappers.get(member.name):
            spec = replace(spec, entrypoint=(*wrapper, *self._site.entrypoint("services" if engine is None else engine.image)))
        container = Container(self._site.api, spec, self._options.logs_dir / f"{member.name}.log")
        self._containers[member.name] = container
        if member.name in self._disk_limits:
            self._bound_disk(member, container)
        return container

    def url(self, service: str, port: int) -> str:
        engine = SERVERS.get(service)
        return engine.url(LOOPBACK, port) if engine is not None else f"http://{LOOPBACK}:{port}"

    def inside_url(self, member: Member) -> str:
        engine = SERVERS.get(member.service)
        return engine.url(host_of(member), engine.port) if engine is not None else f"http://{host_of(member)}:{HTTP_PORT}"

    def probe(self, service: str, url: str) -> str | None:
        engine = SERVERS.get(service)
        return engine.probe(url) if engine is not None else http_probe.ready(url)

    def admin_url(self, service: str) -> str | None:
        return f"http://{LOOPBACK}:{self._admin_ports[service]}" if service in self._admin_ports else None

    def container(self, instance: str) -> Container:
        """The running one. Raises StackError when it does not run."""
        container = self._containers.get(instance)
        if container is None or not container.running:
            raise StackError(f"{instance} does not run")
        return container

    def wrap(self, instance: str, script: Path | None, arguments: Sequence[str]) -> None:
        """Run its next starts under a Python script, which goes along as an argument; None: as declared."""
        wrapper = () if script is None else ("python3", "-I", "-S", "-c", script.read_text(encoding="utf-8"), *arguments, "--")
        self._wrappers[instance] = wrapper

    def limit(self, member: Member, limits: Limits) -> Limits:
        """Of its container, if it runs, and of its next ones; returns those it had. Raises StackError."""
        before = self._limits_of(member)
        if member.running:
            self.container(member.name).limit(limits)
        self._limits[member.name] = limits
        return before

    def limit_disk(self, member: Member, bytes_per_s: int | None) -> None:
        """Bound what it writes to the disk of its data, if it runs, and what its next containers do; None: any. Raises StackError."""
        self._disk_limits[member.name] = bytes_per_s
        if member.running:
            self._bound_disk(member, self.container(member.name))

    def volume_of(self, service: str) -> Path:
        """The folder, on this machine, of an engine's data that lie on a file system of their own."""
        return self._options.work_dir / "volumes" / service

    def _bound_disk(self, member: Member, container: Container) -> None:
        """The engine can set this for new containers only, so it is set in the container's control group. Raises StackError."""
        if container.pid is None:
            raise StackError(f"{member.name} runs, but its control group is not seen from here")
        try:
            version, folder = cgroups.folder_of(container.pid, cgroups.DISKS)
            group = cgroups.Group(version, {cgroups.DISKS: folder})
            group.bound_disk(device_of(self._data_of(member)), self._disk_limits[member.name])
        except cgroups.CgroupError as error:
            raise StackError(f"{member.name} cannot be limited: {error}") from error

    def _data_of(self, member: Member) -> Path:
        """Where its data lie on this machine. Raises EngineError."""
        if member.service not in SERVERS:
            return self._environments.state_of(member.name)
        if member.service in self._options.volumes:
            return self.volume_of(member.service)
        return Path(self._site.api.call("GET", f"/volumes/{self._site.name_of(member.name)}")["Mountpoint"])

    def _service(self, member: Member) -> ContainerSpec:
        service = self._topology.services[member.service]
        published = {HTTP_PORT: member.port}
        admin = {}
        if member.service in self._topology.programmable:
            published[ADMIN_PORT] = self._admin_port(member.service)
            admin["ADMIN_PORT"] = str(ADMIN_PORT)
        environment = self._environments.of(member, {"HOST": "0.0.0.0", "PORT": str(HTTP_PORT)}, admin)
        return ContainerSpec(
            name=self._site.name_of(host_of(member)),
            host=host_of(member),
            image=self._site.image("services"),
            labels=self._site.labels,
            network=self._site.network,
            limits=self._limits_of(member),
            command=(service.module, *service.arguments),
            environment=environment,
            published=published,
            mounts=self._mounts(member, environment),
            aliases=(ENTRY,) if member.service == ENTRY and INGRESS in self._topology.services else (),
            user=user(),
        )

    def _engine(self, member: Member, engine: ContainedEngine) -> ContainerSpec:
        return ContainerSpec(
            name=self._site.name_of(host_of(member)),
            host=host_of(member),
            image=self._site.image(engine.image),
            labels=self._site.labels,
            network=self._site.network,
            limits=self._limits_of(member),
            command=engine.command,
            environment={**engine.environment, **self._environments.added_to(member.name)},
            published={engine.port: member.port},
            mounts=(self._data_mount(member, engine),),
            user=user() if member.service == INGRESS else None,  # it reads what lies here
        )

    def _data_mount(self, member: Member, engine: ContainedEngine) -> Mount:
        if member.service == INGRESS:
            return Mount(str(self.certificates), engine.data)
        own = member.service in self._options.volumes
        return Mount(str(self.volume_of(member.service)) if own else self._site.volume(member.name), engine.data, read_only=False)

    @property
    def certificates(self) -> Path:
        """The folder of what ends TLS."""
        return self._options.work_dir / "front"

    def _limits_of(self, member: Member) -> Limits:
        engine = SERVERS.get(member.service)
        return self._limits.get(member.name, SERVICE_LIMITS if engine is None else engine.limits)

    def _mounts(self, member: Member, environment: Mapping[str, str]) -> tuple[Mount, ...]:
        """The folders (files are replaced) that its variables point into, at the same place; only its own may be written."""
        own = self._environments.state_of(member.name)
        hand_over(own)
        inside = f"{self._options.work_dir}/"
        folders = sorted({str(Path(value).parent) for value in environment.values() if value.startswith(inside)})
        return tuple(Mount(folder, folder, read_only=folder != str(own)) for folder in folders)

    def _admin_port(self, mock: str) -> int:
        if mock not in self._admin_ports:  # a restarted one keeps it: leases of faults know the address
            self._admin_ports[mock] = free_ports(1)[0]
        return self._admin_ports[mock]


def host_of(member: Member) -> str:
    """Its name in the network. Engines have the service's; of two containers of one instance, for a moment there, each has its own."""
    return member.service if member.service in SERVERS else f"{member.name.replace('_', '-')}-{member.port}"


def user() -> str:
    """Who services run as: the caller, whose files they read; nobody, where the caller is root."""
    return f"{NOBODY}:{NOBODY}" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"


def hand_over(path: Path) -> None:
    """Make a file or folder belong to who services run as."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
