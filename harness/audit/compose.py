"""What is wrong with the services of a compose file (the Compose Specification)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.audit.known import Image, interpolated, keeps_state, product, role, secret, unlocked
from harness.audit.reading import Part, Source
from harness.audit.rules import Remark
from harness.scenario.problem import Position

_HOST_PATHS = re.compile(r"^/(?:etc|proc|sys|dev|root|boot|var/run|run|var/lib/docker)?/?$|^/(?:etc|proc|sys|dev|root|boot)/")
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
OWNERS_OF_HOSTS = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "NET_ADMIN", "DAC_READ_SEARCH", "BPF"})
_VAIN = re.compile(r"^\s*(?:true|:|exit 0)\s*$|\|\|\s*(?:true|:|exit 0)\s*$|;\s*(?:true|exit 0)\s*$")


@dataclass(frozen=True, slots=True)
class Port:
    """A published port; `address` empty means every interface."""

    address: str
    published: str
    target: str
    at: Position

    @property
    def local(self) -> bool:
        return self.address.startswith("127.") or self.address in ("::1", "localhost")


@dataclass(frozen=True, slots=True)
class Service:
    """One service with readings that several rules share."""

    name: str
    part: Part
    at: Position
    once: bool  # somebody waits for its end

    @property
    def image(self) -> Image:
        return Image(interpolated(self.part.text("image")))

    @property
    def product(self) -> str:
        return product(self.image, self.name)

    @property
    def role(self) -> str:
        return role(self.product)

    def at_key(self, key: str) -> Position:
        """The key's place in the service; the service's own where it lacks it."""
        return self.part.keys.get(key, self.at)

    def remark(self, rule: str, at: Position | None = None, detail: str = "") -> Remark:
        return Remark(f"compose.{rule}", self.name, at or self.at, detail)

    def environment(self) -> Iterator[tuple[str, str, Position]]:
        """(name, value where the environment sets nothing, place); a name without a value is passed through, and left out."""
        yield from settings(self.part, "environment")

    def ports(self) -> Iterator[Port]:
        for one in self.part.each("ports"):
            if isinstance(one.data, Mapping):
                yield Port(interpolated(one.text("host_ip")), interpolated(one.text("published")), one.text("target"), one.at)
            else:
                yield _port(interpolated(one.text()), one.at)

    def mounts(self) -> Iterator[tuple[str, str, Position]]:
        """(source, target, place): a source that begins with / or . is a path of the host."""
        for one in self.part.each("volumes"):
            if isinstance(one.data, Mapping):
                yield interpolated(one.text("source")), one.text("target"), one.at
            else:
                source, _, rest = interpolated(one.text()).partition(":")
                yield (source, rest.partition(":")[0], one.at) if rest else ("", source, one.at)

    def limit(self, name: str, short: str) -> bool:
        return self.part.has("deploy", "resources", "limits", name) or self.part.has(short)

    def dependencies(self) -> Iterator[tuple[str, str, Position]]:
        """(service, condition, place)."""
        for one in self.part.each("depends_on"):
            yield one.text(), "service_started", one.at
        for name, value, at in self.part.items("depends_on"):
            yield name, value.text("condition") or "service_started", at

    @property
    def replicas(self) -> int:
        text = interpolated(self.part.text("deploy", "replicas") or self.part.text("scale"))
        return int(text) if text.isdecimal() else 1

    @property
    def unchecked(self) -> bool:
        """Is its health check switched off?"""
        return self.part.text("healthcheck", "disable") == "true" or self.part.words("healthcheck", "test")[:1] == ["NONE"]


def review(source: Source, document: Part) -> Iterator[Remark]:
    """Everything that is wrong with one compose file."""
    services = _services(document)
    for name, _, at in document.items():
        if name == "include":
            yield Remark("audit.not_followed", "include", at)
    for one in services.values():
        for rule in _EACH:
            yield from rule(one)
        yield from _env_files(one, source)
        yield from _order(one, services)
        yield from _redundancy(one, services)


def settings(part: Part, key: str) -> Iterator[tuple[str, str, Position]]:
    """The entries of `environment`, or of another that is a mapping or a list of NAME=VALUE."""
    for one in part.each(key):
        name, found, value = one.text().partition("=")
        if found:
            yield name, interpolated(value), one.at
    for name, entry, at in part.items(key):
        yield name, interpolated(entry.text()), at


def _services(document: Part) -> dict[str, Service]:
    ended = {
        name
        for _, service, _ in document.items("services")
        for name, value, _ in service.items("depends_on")
        if value.text("condition") == "service_completed_successfully"
    }
    return {name: Service(name, part, at, name in ended) for name, part, at in document.items("services")}


def _port(text: str, at: Position) -> Port:
    text = text.partition("/")[0]
    address = ""
    if text.startswith("["):
        address, _, text = text[1:].partition("]")
        text = text.lstrip(":")
    parts = text.split(":")
    if len(parts) == 3:
        address, parts = parts[0], parts[1:]
    return Port(address, parts[0] if len(parts) == 2 else "", parts[-1], at)


def _isolation(one: Service) -> Iterator[Remark]:
    part = one.part
    if part.text("privileged") == "true":
        yield one.remark("privileged", one.at_key("privileged"))
    for key in ("network_mode", "pid", "ipc", "userns_mode", "uts"):
        if part.text(key) == "host":
            yield one.remark("host_namespace", one.at_key(key), f" ({key})")
    for cap in part.each("cap_add"):
        if cap.text().upper().removeprefix("CAP_") in OWNERS_OF_HOSTS:
            yield one.remark("capability", cap.at, f" ({cap.text()})")
    if part.text("user").partition(":")[0] in ("0", "root"):
        yield one.remark("root_user", one.at_key("user"))
    if not any(option.startswith("no-new-privileges") and not option.endswith("false") for option in part.words("security_opt")):
        yield one.remark("new_privileges")
    if part.text("read_only") != "true":
        yield one.remark("writable_root")
    for path, _, at in one.mounts():
        if path.endswith(_SOCKETS):
            yield one.remark("docker_socket", at)
        elif _HOST_PATHS.match(path):
            yield one.remark("host_path", at, f" ({path})")


def _secrets(one: Service) -> Iterator[Remark]:
    for name, value, at in (*one.environment(), *((n, v, at) for n, v, at in _build_arguments(one.part))):
        if secret(name, value):
            yield one.remark("plain_secret", at, f" ({name})")
    if one.role == "store" and not one.part.has("env_file"):
        command = [*one.part.words("command"), *one.part.words("entrypoint")]
        why = unlocked(one.product, {name: value for name, value, _ in one.environment()}, command)
        if why:
            yield one.remark("unlocked_store", detail=f": {why}")
    given = {name: (value, at) for name, value, at in one.environment()}
    value, at = given.get("GF_AUTH_ANONYMOUS_ENABLED", ("", one.at))
    if value.lower() in ("true", "1"):
        yield one.remark("anonymous_dashboard", at)


def _build_arguments(part: Part) -> Iterator[tuple[str, str, Position]]:
    build = part.get("build")
    if build is not None:
        yield from settings(build, "args")


def _doors(one: Service) -> Iterator[Remark]:
    everywhere = [port for port in one.ports() if not port.local]
    if not everywhere:
        return
    rule = {"store": "published_store", "dashboard": "published_dashboard", "service": "published_everywhere"}.get(one.role)
    if rule:
        yield from (one.remark(rule, port.at, f" (port {port.target})") for port in everywhere)
    elif not any(port.published in ("443", "8443") or port.target in ("443", "8443") for port in everywhere):
        yield one.remark("plain_front", everywhere[0].at)


def _image(one: Service) -> Iterator[Remark]:
    if one.image.mutable and not one.part.has("build"):
        yield one.remark("mutable_tag", one.at_key("image"), f" ({one.image.text})")


def _health(one: Service) -> Iterator[Remark]:
    check = one.part.get("healthcheck")
    words = one.part.words("healthcheck", "test")
    if check is not None and not one.unchecked and words and _VAIN.search(" ".join(words[1:] if words[0].startswith("CMD") else words)):
        yield one.remark("vain_healthcheck", check.key_at("test"))
    if one.once:
        return
    if check is None or one.unchecked:
        yield one.remark("no_healthcheck", one.at_key("healthcheck"))
    if one.part.text("restart") in ("", "no", "false") and not one.part.has("deploy", "restart_policy"):
        yield one.remark("no_restart", one.at_key("restart"))


def _limits(one: Service) -> Iterator[Remark]:
    if not one.limit("memory", "mem_limit"):
        yield one.remark("no_memory_limit")
    if not (one.limit("cpus", "cpus") or one.part.has("cpu_quota")):
        yield one.remark("no_cpu_limit")
    if not one.limit("pids", "pids_limit"):
        yield one.remark("no_pids_limit")
    if one.role in ("store", "proxy") and not one.part.has("ulimits", "nofile"):
        yield one.remark("few_descriptors")
    driver = one.part.text("logging", "driver")
    if driver in ("", "json-file") and not one.part.has("logging", "options", "max-size"):
        yield one.remark("no_log_rotation", one.at_key("logging"))


def _ending(one: Service) -> Iterator[Remark]:
    if one.part.text("stop_signal").upper().removeprefix("SIG") in ("KILL", "9"):
        yield one.remark("killed_at_once", one.at_key("stop_signal"))
    grace = interpolated(one.part.text("stop_grace_period"))
    if re.fullmatch(r"0+(?:ms|s|m|h|us)?", grace):
        yield one.remark("killed_at_once", one.at_key("stop_grace_period"))
    elif not grace and not one.once:
        yield one.remark("default_grace")


def _state(one: Service) -> Iterator[Remark]:
    if keeps_state(one.product) and not any(source for source, _, _ in one.mounts()):
        yield one.remark("forgetful_store", one.at_key("volumes"))
    if one.part.has("extends", "file"):
        yield Remark("audit.not_followed", one.name, one.at_key("extends"))


_EACH: tuple[Callable[[Service], Iterator[Remark]], ...] = (_isolation, _secrets, _doors, _image, _health, _limits, _ending, _state)


def _env_files(one: Service, source: Source) -> Iterator[Remark]:
    found = one.part.get("env_file")
    if found is None:
        return
    for entry in found.data if isinstance(found.data, tuple) else (found,):
        path = source.path.parent / interpolated(entry.text("path") if isinstance(entry.data, Mapping) else entry.text())
        try:
            lines = path.read_text(encoding="utf-8").splitlines()[:1000]
        except (OSError, ValueError):
            continue  # made where it is needed, as it should be
        pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition("=") for line in lines if not line.startswith("#"))]
        names = [name for name, value in pairs if secret(name, value)]
        if names:
            yield one.remark("secret_in_env_file", entry.at, f" ({', '.join(names[:3])})")


def _order(one: Service, services: Mapping[str, Service]) -> Iterator[Remark]:
    for name, condition, at in one.dependencies():
        other = services.get(name)
        if other is None:
            yield one.remark("unknown_dependency", at, f" ({name})")
        elif condition == "service_healthy" and other.unchecked:
            yield one.remark("waits_for_ever", at, f" ({name})")
        elif condition == "service_started" and other.role == "store":
            yield one.remark("unready_dependency", at, f" ({name})")


def _redundancy(one: Service, services: Mapping[str, Service]) -> Iterator[Remark]:
    if one.replicas > 1:
        fixed = next((port.at for port in one.ports() if port.published and "-" not in port.published), None)
        if one.part.has("container_name") or fixed:
            yield one.remark("replicas_collide", fixed or one.at_key("container_name"))
    elif not one.once and not any(_same(one, other) for other in services.values() if other.name != one.name):
        if one.role == "store":
            yield one.remark("single_store")
        elif one.role in ("service", "proxy"):
            yield one.remark("single_replica")


def _same(one: Service, other: Service) -> bool:
    """Twins: the same program under two names."""
    program = [(s.part.words("command"), s.part.text("build") or s.part.text("build", "context")) for s in (one, other)]
    return one.image == other.image and program[0] == program[1] and bool(one.image.text or program[0][1])
