"""The stack file of the reference stack: what `docker stack deploy` is given. Pure: nothing is started.

What there is one of (data, mocks, the gateway, whose address users know) stays on one node, because local volumes do not move. All else is
replicated and spread over the nodes, and found by its name, which stands for the addresses of all replicas (`endpoint_mode: dnsrr`): no
virtual address, so that no kernel module is needed, and callers see each replica. Ports are the node's own (`mode: host`): of what stays on
one node they are fixed, so that who knows the address may keep it over a restart; all else is published wherever its node has a port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.scenario.model import VectorStoreName
from harness.stack.base import Limits
from harness.stack.containers.launch import ADMIN_PORT, ENGINES, HTTP_PORT, NOBODY, SERVICE_LIMITS
from harness.stack.topology import VECTOR, Service, Topology, Variable
from harness.sweep_containers import RUN_LABEL

NETWORK = "private"
REGISTRY_PLACE = "/etc/rag/registry.json"
PROFILE_PLACE = "/run/secrets/profile"
STATE_PLACE = "/var/lib/rag"
DRAIN_S = 6
RESTART_AFTER_S = 1
PORTS = range(20_000, 30_000)
SECRETS = (
    "admin_token", "database_url", "jwt_secret", "keys", "postgres_password", "provider_key", "redis_url", "valkey_password",
)  # fmt: skip
"""By the names of their files, beside the profiles of the mocks."""
_SECRET_OF: Mapping[Variable, str] = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "JWT_SECRET": "jwt_secret",
    "LLM_API_KEY": "provider_key",
}
_PASSWORD_OF = {"postgres": ("POSTGRES_PASSWORD_FILE", "postgres_password"), "cache": ("VALKEY_PASSWORD_FILE", "valkey_password")}
_SCRATCH = {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 64 << 20}}  # all else of a file system is read-only

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run needs to be otherwise. `holder` is the id of the node that keeps the data, `strangers` those that get nothing.

    `ports` are those of the holder, by service and port there.
    """

    run_id: str
    images: Mapping[str, str]
    replicas: Mapping[str, int]
    holder: str
    version: str
    vector_store: VectorStoreName
    ports: Mapping[tuple[str, int], int]
    strangers: Sequence[str] = ()


def stack_file(topology: Topology, plan: Plan) -> Document:
    """The whole file. Secrets and configs are files beside it, in the folders of that name."""
    label = {RUN_LABEL: plan.run_id}
    services = {service.name: _service(service, topology, plan) for service in topology.services.values()}
    secrets = {*SECRETS, *map(profile_of, topology.programmable)}
    return {
        "version": "3.8",
        "services": services,
        "networks": {NETWORK: {"driver": "overlay", "labels": label}},
        "volumes": {name: {"labels": label} for name in (*ENGINES, *topology.programmable)},
        "configs": {"registry": {"file": "./configs/registry.json", "labels": label}},
        "secrets": {name: {"file": f"./secrets/{name}", "labels": label} for name in sorted(secrets)},
    }


def registry(topology: Topology) -> Document:
    """What services read of one another: a name each, which stands for every replica."""
    listed = [service.name for service in topology.services.values() if service.in_registry]
    services = {name: [{"name": name, "url": f"http://{name}:{HTTP_PORT}", "every_address": True}] for name in listed}
    return {"revision": 1, "services": services, "settings": {}}


def profile_of(mock: str) -> str:
    """The secret with a mock's profile."""
    return f"profile_{mock}"


def draw_ports(topology: Topology, run_id: str) -> dict[tuple[str, int], int]:
    """Ports of the holder for what stays there, by service and port there: below those that systems give away, and never twice."""
    wanted = [(service.name, port) for service in topology.services.values() if is_pinned(service) for port in _ports(service, topology)]
    return dict(zip(wanted, Random(run_id).sample(PORTS, len(wanted)), strict=True))


def _ports(service: Service, topology: Topology) -> tuple[int, ...]:
    """Where it listens in its container."""
    engine = ENGINES.get(service.name)
    if engine is not None:
        return (engine.port,)
    return (HTTP_PORT, ADMIN_PORT) if service.name in topology.programmable else (HTTP_PORT,)


def is_pinned(service: Service) -> bool:
    """It stays where its data are."""
    return service.single


def _service(service: Service, topology: Topology, plan: Plan) -> Document:
    engine = ENGINES.get(service.name)
    mock = service.name in topology.programmable
    particular = _engine(service) if engine is not None else _of_ours(service, mock, plan)
    label = {RUN_LABEL: plan.run_id}
    return {
        "image": plan.images[engine.image if engine is not None else "services"],
        "hostname": f"{service.name.replace('_', '-')}-{{{{.Task.Slot}}}}",
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "networks": [NETWORK],
        "ports": [_published(port, plan.ports.get((service.name, port))) for port in _ports(service, topology)],
        "labels": label,
        "healthcheck": {"disable": True},  # whoever starts it polls for readiness; a process every few seconds would cost the stack
        "stop_grace_period": f"{DRAIN_S}s",
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "1"}},
        **particular,
        "deploy": {
            "mode": "replicated",
            "replicas": plan.replicas[service.name],
            "endpoint_mode": "dnsrr",
            "labels": label,
            "placement": _placement(service, plan),
            "restart_policy": {"condition": "any", "delay": f"{RESTART_AFTER_S}s"},
            "resources": {"limits": _limits(engine.limits if engine is not None else SERVICE_LIMITS)},
        },
    }


def _engine(service: Service) -> Document:
    engine = ENGINES[service.name]
    variable, secret = _PASSWORD_OF[service.name]
    return {
        "command": list(engine.command),
        "environment": {variable: f"/run/secrets/{secret}"},
        "secrets": [_shown(secret)],
        "volumes": [_SCRATCH, f"{service.name}:{engine.data}"],
    }


def _of_ours(service: Service, mock: bool, plan: Plan) -> Document:
    environment = {
        "HOST": "0.0.0.0",
        "PORT": str(HTTP_PORT),
        "INSTANCE": f"{service.name}-{{{{.Task.Slot}}}}",
        "VERSION": plan.version,
    }
    secrets: list[str] = []
    if mock:
        environment |= {
            "VECTOR_PROFILE" if service.name == VECTOR else "LLM_PROFILE": PROFILE_PLACE,
            "ADMIN_PORT": str(ADMIN_PORT),
            "ADMIN_TOKEN_FILE": "/run/secrets/admin_token",
            "FAULTS_FILE": f"{STATE_PLACE}/faults.json",  # a restart heals nothing that is wrong with a provider
        }
        secrets.append("admin_token")
    else:
        environment["REGISTRY_FILE"] = REGISTRY_PLACE
        for variable in service.variables:
            environment |= _variable(variable, plan)
            secrets += [_SECRET_OF[variable]] if variable in _SECRET_OF else []
    shown = [_shown(name) for name in secrets]
    if "KEYS_FILE" in service.variables:
        shown.append(_shown("keys"))
    if mock:
        shown.append(_shown(profile_of(service.name), "profile"))
    return {
        "command": [service.module, *service.arguments],
        "user": f"{NOBODY}:{NOBODY}",
        "environment": environment,
        "secrets": shown,
        "volumes": [_SCRATCH, *([f"{service.name}:{STATE_PLACE}"] if mock else [])],
        **({} if mock else {"configs": [{"source": "registry", "target": REGISTRY_PLACE}]}),
    }


def _variable(variable: Variable, plan: Plan) -> dict[str, str]:
    match variable:
        case "KEYS_FILE":
            return {variable: "/run/secrets/keys"}
        case "VECTOR_STORE":
            return {variable: plan.vector_store}
        case "SPOOL_DIR":
            return {variable: "/tmp/spool"}  # a replica that is moved finds no disk of its own
        case _:
            return {f"{variable}_FILE": f"/run/secrets/{_SECRET_OF[variable]}"}


def _placement(service: Service, plan: Plan) -> Document:
    if is_pinned(service):
        return {"constraints": [f"node.id == {plan.holder}"]}
    return {"constraints": [f"node.id != {stranger}" for stranger in plan.strangers]}  # the swarm spreads what it may place


def _published(port: int, fixed: int | None) -> Document:
    return {"target": port, **({"published": fixed} if fixed is not None else {}), "protocol": "tcp", "mode": "host"}


def _shown(secret: str, target: str | None = None) -> Document:
    """Readable by who runs in the container alone."""
    return {"source": secret, "target": target or secret, "uid": str(NOBODY), "gid": str(NOBODY), "mode": 0o400}


def _limits(limits: Limits) -> Document:
    return {
        **({"cpus": f"{limits.cpus:g}"} if limits.cpus is not None else {}),
        **({"memory": f"{limits.memory_bytes}"} if limits.memory_bytes is not None else {}),
    }
