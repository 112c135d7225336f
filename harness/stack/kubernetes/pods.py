"""The pods of the reference stack: container, environment, probes, limits and volumes of each service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.stack import valkey
from harness.stack.containers.launch import ADMIN_PORT, ENGINES, HTTP_PORT, NOBODY
from harness.stack.kubernetes.release import CONFIG, CONTAINER, PORT_NAME, SECRET, Manifest, Release, port_of, ports_of
from harness.stack.topology import Service, Variable

SECRETS = "/run/rag"
SETTINGS = "/etc/rag"
STATE = "/var/lib/rag"
DRAIN_S = 2
"""Between a pod's leaving its service's name and the signal: callers look a name up again within it."""

_FROM_SECRET: Mapping[Variable, str] = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "JWT_SECRET": "jwt_secret",
    "LLM_API_KEY": "provider_key",
}
"""Files of the secret, which images read where NAME_FILE is set; a secret is in no environment."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a container may use, and how long its pod gets to end. As in `mocks/rag/deploy/compose.yaml`; a test holds the two together."""

    cpu: str
    memory: str
    end_s: int
    cpu_request: str = "100m"


SIZES: Mapping[str, Size] = {
    "postgres": Size("2", "512Mi", 30, "250m"),
    "cache": Size("1", "192Mi", 10),
    "document": Size("1", "384Mi", 8 + DRAIN_S),
}
SIZE = Size("1", "256Mi", 8 + DRAIN_S)
"""Of every other service."""

_ENGINE_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("-c", "max_connections=120", "-c", "shared_buffers=64MB", "-c", "jit=off"),
    "cache": ("--maxmemory", "128mb", "--maxmemory-policy", "noeviction"),
}
"""By hand; a run's engines take the settings of the other drivers."""
_ENGINE_PASSWORDS = {"postgres": ("POSTGRES_PASSWORD_FILE", "postgres_password"), "cache": ("VALKEY_PASSWORD_FILE", "valkey_password")}
_ENGINE_ASKED = {"postgres": ["pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"], "cache": ["valkey-healthcheck"]}

PULL = "IfNotPresent"
"""Whatever its tag: an image that was loaded onto nodes is in no registry."""
CONFINED: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": NOBODY,
    "runAsGroup": NOBODY,
    "fsGroup": NOBODY,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod_template(release: Release, service: Service) -> Manifest:
    """The template of a service's pods."""
    name, size = service.name, SIZES.get(service.name, SIZE)
    kept = data_folder(service)
    state: list[Manifest] = [] if kept is not None else [{"name": "state", "emptyDir": {"sizeLimit": "256Mi"}}]
    spec: Manifest = {
        **pod_basics(),
        "terminationGracePeriodSeconds": size.end_s,
        "containers": [_container(release, service, size)],
        "volumes": [*mounted_volumes(), *state],
    }
    if not service.single:
        spec["topologySpreadConstraints"] = [_spread(release, name)]
    metadata: Manifest = {"labels": {**release.labels, **release.selector(name)}}
    if name not in ENGINES:
        metadata["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": str(HTTP_PORT)}
    return {"metadata": metadata, "spec": spec}


def pod_basics() -> Manifest:
    """Nothing that it does not need: no token, no rights, no variables about other services, whose names are settings here."""
    return {"automountServiceAccountToken": False, "enableServiceLinks": False, "securityContext": POD_SECURITY}


def mounted_volumes() -> list[Manifest]:
    """Secrets and settings, and room for temporary files."""
    return [
        {"name": "secrets", "secret": {"secretName": SECRET, "defaultMode": 0o440}},
        {"name": "settings", "configMap": {"name": CONFIG}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]


def mounts() -> list[Manifest]:
    """Of `mounted_volumes`."""
    return [
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]


def resources(size: Size) -> Manifest:
    """Memory is asked for as a whole: a pod that was promised less than it may use is the first to go."""
    return {"requests": {"cpu": size.cpu_request, "memory": size.memory}, "limits": {"cpu": size.cpu, "memory": size.memory}}


def data_folder(service: Service) -> str | None:
    """Where it keeps what must outlive its pod; None for a service that keeps nothing."""
    engine = ENGINES.get(service.name)
    if engine is not None:
        return engine.data
    return STATE if service.kind == "vector" or "SPOOL_DIR" in service.variables else None


def _container(release: Release, service: Service, size: Size) -> Manifest:
    name = service.name
    folder = data_folder(service)
    arguments = [service.module, *service.arguments] if name not in ENGINES else list(_engine_arguments(release, name))
    return {
        "name": CONTAINER,
        "image": release.image(name),
        "imagePullPolicy": PULL,
        "args": arguments,
        "ports": [{"name": label, "containerPort": port} for label, port in ports_of(release, name).items()],
        "env": _environment(release, service),
        "resources": resources(size),
        "securityContext": CONFINED,
        "volumeMounts": [*mounts(), {"name": "state" if folder is None else "data", "mountPath": folder or STATE}],
        **_probes(name),
        **({} if name in ENGINES else {"lifecycle": {"preStop": {"exec": {"command": ["sleep", str(DRAIN_S)]}}}}),
    }


def _engine_arguments(release: Release, name: str) -> tuple[str, ...]:
    if release.by_hand:
        return _ENGINE_ARGUMENTS[name]
    return (*ENGINES["postgres"].command,) if name == "postgres" else valkey.PERSISTENCE


def _probes(name: str) -> Manifest:
    """Started, alive, ready: three questions. What it depends on counts for the last alone, or one outage would restart all."""
    if name in ENGINES:
        asked: Manifest = {"exec": {"command": _ENGINE_ASKED[name]}}
        alive = asked
    else:
        asked = {"httpGet": {"path": "/ready", "port": PORT_NAME}}
        alive = {"httpGet": {"path": "/health", "port": PORT_NAME}}
    return {
        "startupProbe": {**alive, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 60},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 3},
        "readinessProbe": {**asked, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 2},
    }


def _environment(release: Release, service: Service) -> list[Manifest]:
    if service.name in ENGINES:
        return _engine_environment(service.name)
    variables = {"PORT": str(port_of(service.name)), "VERSION": release.version}
    if service.kind == "http":
        variables["REGISTRY_FILE"] = f"{SETTINGS}/registry.json"
        variables |= dict(_variable(release, variable) for variable in service.variables)
    else:
        variables |= _of_mock(release, service)
    return [{"name": "INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, *_plain(variables)]


def _engine_environment(name: str) -> list[Manifest]:
    variable, file = _ENGINE_PASSWORDS[name]
    folder = {"PGDATA": f"{ENGINES[name].data}/rag"} if name == "postgres" else {}  # below the volume's root, which holds lost+found
    return _plain({variable: f"{SECRETS}/{file}", **folder})


def _of_mock(release: Release, service: Service) -> dict[str, str]:
    profile = "VECTOR_PROFILE" if service.kind == "vector" else "LLM_PROFILE"
    if release.by_hand:
        return {profile: f"{SETTINGS}/{service.name}.json"}
    admin = {"ADMIN_PORT": str(ADMIN_PORT), "ADMIN_TOKEN_FILE": f"{SECRETS}/admin_token", "FAULTS_FILE": f"{STATE}/faults.json"}
    return {profile: f"{SECRETS}/{service.name}.json", **admin}  # it holds the key that the mock wants


def _variable(release: Release, variable: Variable) -> tuple[str, str]:
    match variable:
        case "KEYS_FILE":
            return variable, f"{SECRETS}/keys.json"
        case "VECTOR_STORE":
            return variable, release.vector_store
        case "SPOOL_DIR":
            return variable, f"{STATE}/spool"
        case _:
            return f"{variable}_FILE", f"{SECRETS}/{_FROM_SECRET[variable]}"


def _plain(variables: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _spread(release: Release, service: str) -> Manifest:
    """On different nodes, where there are several."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": release.selector(service)},
    }
