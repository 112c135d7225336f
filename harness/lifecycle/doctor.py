"""What this machine can do: parts found, faults that will work, and what to do about the rest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from harness import cgroups, mounts
from harness.cluster import CHAOS_GROUP, Cluster, ClusterError, ClusterRef
from harness.faults.clean import leftovers
from harness.stack import disks, netem
from harness.stack.base import StackError
from harness.stack.binaries import find_postgres, find_valkey
from harness.stack.compose import cli as compose
from harness.stack.containers.api import EngineApi
from harness.stack.unprivileged import choose_account

MEMORY_WANTED = 3 << 30
DISK_WANTED = 1 << 30
CLUSTER_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `mark` is ok, none (absent, and that is fine) or MISS (a run will not work)."""

    what: str
    mark: Literal["ok", "none", "MISS"]
    detail: str

    @property
    def blocking(self) -> bool:
        return self.mark == "MISS"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything; never raises, changes nothing."""
    return [finding for look in _LOOKS for finding in look()]


def _packages() -> Iterator[Finding]:
    needed = {
        "locust": "load",
        "psycopg": "database probes",
        "redis": "cache probes",
        "starlette": "stack and inbox",
        "psutil": "processes",
        "httptools": "mock providers and vector stores",
    }
    for package, purpose in needed.items():
        if find_spec(package) is None:
            yield Finding(package, "MISS", f"needed for {purpose}: pip install 'rag-gauntlet[all]'")
        else:
            yield Finding(package, "ok", purpose)


def _engines() -> Iterator[Finding]:
    yield _found("PostgreSQL + pgvector", _postgres)
    yield _found("Valkey or Redis", lambda: str(find_valkey()))
    yield _found("account for PostgreSQL", _account)


def _postgres() -> str:
    install = find_postgres()
    return f"{install.origin}: {install.postgres}"


def _account() -> str:
    with tempfile.TemporaryDirectory(prefix="gauntlet-doctor-") as folder:
        Path(folder).chmod(0o755)
        return choose_account(find_postgres(), Path(folder)).rung


def _found(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", look())
    except StackError as error:
        return Finding(what, "MISS", str(error))


def _machine() -> Iterator[Finding]:
    cpus = len(os.sched_getaffinity(0))
    yield Finding("processors", "ok" if cpus >= 2 else "MISS", f"{cpus}; the reference stack under load wants 2")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding("memory", "ok" if memory >= MEMORY_WANTED else "MISS", f"{memory / 2**30:.1f} GiB; 3 are wanted")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    yield Finding(
        "temporary folder", "ok" if free >= DISK_WANTED else "MISS", f"{tempfile.gettempdir()}, {free / 2**30:.1f} GiB free; 1 is wanted"
    )


def _options() -> Iterator[Finding]:
    yield _docker()
    refused_compose = compose.why_not()
    yield Finding("docker compose", "none" if refused_compose else "ok", refused_compose or "compose files can be run")
    yield Finding("docker swarm", *_swarm())
    yield _cluster()
    refused = cgroups.why_not()
    limits = f"limits of processes, as out-of-memory kills and CPU quotas take: {refused or 'control groups can be made'}"
    yield Finding("control groups", "ok" if refused is None else "none", limits)
    refused = disks.why_not()
    yield Finding("slow disks", "ok" if refused is None else "none", f"bounds of what is written: {refused or 'can be set'}")
    refused = mounts.why_not()
    yield Finding("file systems", "ok" if refused is None else "none", f"small ones, as full disks take: {refused or 'can be mounted'}")
    refused = netem.why_not()
    delays = f"delays of packets between containers: {refused + '; proxies delay instead' if refused else 'by netem'}"
    yield Finding("netem", "ok" if refused is None else "none", delays)
    yield _gpu()


def _gpu() -> Finding:
    """As `gauntlet watch` would see it."""
    if find_spec("prometheus_client") is None:
        return Finding("GPU", "none", "not looked for: pip install 'rag-gauntlet[run,monitoring]'")
    from harness.ops.monitoring.gpu import Gpus

    gpus = Gpus()
    try:
        found = gpus.look()
    finally:
        gpus.close()
    if not found:
        return Finding("GPU", "none", f"none: {gpus.why_not or 'no device answers'}; nothing here needs one")
    return Finding("GPU", "ok", f"{', '.join(gpu.name for gpu in found)}, driver {gpus.driver}: gauntlet watch follows it")


def _docker() -> Finding:
    try:
        return Finding("Docker", "ok", f"engine {EngineApi.found().version()} answers: runs can take `--stack containers`")
    except StackError as error:
        return Finding("Docker", "none", f"{error}; the embedded stack needs none")


def _swarm() -> tuple[Literal["ok", "none"], str]:
    try:
        swarm = EngineApi.found().call("GET", "/info")["Swarm"]
    except StackError:
        return "none", "no engine that could be a node"
    if swarm["LocalNodeState"] != "active":
        return "none", "this engine is in none: docker swarm init, or three engines on this machine: pipelines/swarm up"
    return "ok", "this engine is a manager" if swarm["ControlAvailable"] else "this engine is a worker: another node's must be named, too"


def _cluster() -> Finding:
    """The one that kubectl would take; a run may name another."""
    if find_spec("kubernetes") is None:
        return Finding("Kubernetes", "none", "no client: pip install 'rag-gauntlet[kubernetes]'; only `driver: kubernetes` needs one")
    try:
        ref = ClusterRef().resolved()
        cluster = Cluster.connect(ref, CLUSTER_TIMEOUT_S)
        found = f"the cluster of context {ref.context} answers, version {cluster.version()}"
        meshed = cluster.serves(CHAOS_GROUP)
    except ClusterError as error:
        return Finding("Kubernetes", "none", f"{error}; only `driver: kubernetes` needs one")
    without = "Chaos Mesh is not installed there: no faults but those of the mocks and stores"
    return Finding("Kubernetes", "ok" if meshed else "none", f"{found}; {'so does Chaos Mesh' if meshed else without}")


def _left() -> Iterator[Finding]:
    left = leftovers()
    yield Finding("left by dead runs", "none" if not left else "MISS", f"{len(left)} runs: gauntlet clean" if left else "nothing")


_LOOKS = (_packages, _engines, _machine, _options, _left)
