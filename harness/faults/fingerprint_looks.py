"""What is looked at for a fingerprint: each look returns marks by name, as text that is equal where nothing has changed."""

from __future__ import annotations

import hashlib
import json
import re
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.faults.points import collections_of
from harness.record.clock import SystemClock
from harness.stack.base import AdminApi, Documented, HostWatched, Instance, Meshed, Networked, Programmable, Proxied, Stack, StackError

Marks = Mapping[str, str]

STATE, READY, NOT_READY = "state", "ready", "not ready"

ADMIN_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2
LARGEST_HASHED = 1 << 20
_OWN_TO_A_START = re.compile(r"^\w*(PORT|URL|VERSION|INSTANCE|REPLICA|HOSTNAME|PG_)|^_ |^PWD |faketime", re.IGNORECASE)
"""Variables (and their values) that another start may have otherwise; a clock that was healed is followed until the next."""
_LIMITS = ("cpu.max", "memory.max", "memory.high", "io.max", "pids.max", "cpu.cfs_quota_us", "memory.limit_in_bytes")
_RLIMITS = ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CPU")
_NETWORK = (("iptables", "-S"), ("ip6tables", "-S"), ("tc", "qdisc", "show"))
_OF_FAULTS = "^batch[-_][0-9a-f]{10}"  # names.fresh_name
_FOLLOWED = "clock"
"""What a process follows until its next start (a file, or a folder with the library for it): its time is for the fault to prove."""
_GROWING = frozenset({"postgres", "cache", "logs", "spool", "vectors", "corpus", "oncall", "lease"})
"""Folders of the work directory whose owners write into them all the time."""


def tables(stack: Stack) -> Marks:
    """What the admin APIs of proxies and mocks hold, and what faults are objects beside the stack."""
    return {**{name: _table(api) for name, api in _apis(stack)}, **_objects(stack), **_collections(stack)}


def _collections(stack: Stack) -> Marks:
    """Of the vector store that documents are in, those with a name as faults make them."""
    try:
        at = stack.documents().points if isinstance(stack, Documented) else None
    except StackError:
        return {}
    if at is None:
        return {}
    try:
        return {"collections": ", ".join(sorted(name for name in collections_of(at, SystemClock()) if re.search(_OF_FAULTS, name)))}
    except FaultError as error:
        return {"collections": f"no answer: {error}"}


def _objects(stack: Stack) -> Marks:
    """Of Chaos Mesh; none where it is not installed."""
    if not isinstance(stack, Meshed):
        return {}
    try:
        return {"objects of Chaos Mesh": ", ".join(sorted(stack.mesh().objects()))}
    except StackError:
        return {}


def _apis(stack: Stack) -> Iterator[tuple[str, AdminApi]]:
    if isinstance(stack, Proxied):
        for caller, callee in sorted(stack.info.edges):
            try:
                yield f"proxy on {caller}->{callee}", stack.proxy(caller, callee)
            except StackError:
                continue  # there is none
    if isinstance(stack, Programmable):
        for service in sorted(stack.info.programmable):
            api = stack.admin(service)
            yield f"admin API of {service}", AdminApi(f"{api.url.rstrip('/')}/admin", api.token)


def _table(api: AdminApi) -> str:
    """Ids of the faults that it knows; nobody listening is no fault of a fault: the instance's own marks tell."""
    try:
        return ", ".join(sorted(str(entry["id"]) for entry in call(api, "GET", "/faults", timeout_s=ADMIN_TIMEOUT_S)["faults"]))
    except ConnectionRefusedError:
        return ""
    except FaultError as error:
        return f"no answer: {error}"


def hosts(stack: Stack) -> Marks:
    """Whether each host takes part, by what the managers say."""
    if not isinstance(stack, HostWatched):
        return {}
    looks = {host: stack.look_at_host(host) for host in stack.info.hosts}
    return {f"node {host}": f"{look.state}, {look.availability}, {look.silent or 'answers'}" for host, look in looks.items()}


def of_instance(stack: Stack, instance: Instance, network: bool) -> Marks:
    """What surrounds one instance: readiness, limits, mounts, environment, an engine's settings, and its network, if wanted."""
    marks = {STATE: READY if stack.probe(instance) is None else NOT_READY}
    if instance.pid is not None:
        marks.update(_process_marks(instance.pid))
    if network and isinstance(stack, Networked):
        marks.update((" ".join(tool), _rules(stack.run_in_network(instance.name, tool))) for tool in _NETWORK)
    ask = _SETTINGS.get(urlsplit(instance.url).scheme)
    if ask is not None and marks[STATE] == READY:
        marks.update(ask(instance.url))
    return marks


def _rules(text: str) -> str:
    """Without what counts rather than sets."""
    return re.sub(r" refcnt \d+|dev \w+@if\d+", "", text).strip()


def _process_marks(pid: int) -> dict[str, str]:
    """Of the main process of an instance on this machine."""
    try:
        process = psutil.Process(pid)
        rlimits = {name: process.rlimit(getattr(resource, name)) for name in _RLIMITS}
        environment = {name: value for name, value in process.environ().items() if not _OWN_TO_A_START.search(f"{name} {value}")}
        proc = Path(f"/proc/{pid}")
        root = (proc / "ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink()
        return {
            "limits": f"rlimits {rlimits}, nice {process.nice()}, affinity {process.cpu_affinity()}",
            "cgroup": _cgroup(proc),
            "mounts": "" if root else _mounts(proc),
            "environment": hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest(),
        }
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return {"limits": "ended while it was looked at"}
    except psutil.AccessDenied:
        return {}  # another user's, as a database may have to be


def _cgroup(proc: Path) -> str:
    """Its limits, by controller; not its path: every container has its own."""
    found = {}
    for line in (proc / "cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in (Path("/sys/fs/cgroup"), *(Path("/sys/fs/cgroup") / name for name in controllers.split(","))):
            for limit in _LIMITS:
                file = mount / path.lstrip("/") / limit
                if file.is_file():
                    found[f"{controllers}{limit}"] = file.read_text(encoding="utf-8").strip()
    return json.dumps(found, sort_keys=True)


def _mounts(proc: Path) -> str:
    """Mount points of a namespace of its own, with their types."""
    lines = [line.split() for line in (proc / "mounts").read_text(encoding="utf-8", errors="replace").splitlines()]
    return ", ".join(sorted(f"{where} {kind}" for _, where, kind, *_ in lines))


def files(work_dir: Path | None) -> Marks:
    """Files that tell services what to do, by content; others by their names. Mounts below the work directory."""
    if work_dir is None or not work_dir.is_dir():
        return {}
    marks = {"mounts": ", ".join(line.split()[1] for line in _read_lines(Path("/proc/self/mounts")) if str(work_dir) in line)}
    for path in sorted(_walk(work_dir)):
        marks[f"file {path.relative_to(work_dir)}"] = _content(path) if path.parent.name in ("secrets", "profiles", "front") else "there"
    return marks


def instance_of_file(name: str) -> str | None:
    """The instance that a mark of `files` belongs to: what lies in `state/<instance>` is its own."""
    parts = Path(name.removeprefix("file ")).parts
    return parts[parts.index("state") + 1] if "state" in parts[:-2] else None


def _walk(folder: Path) -> Iterator[Path]:
    """Files below it, without those that are written all the time."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return  # somebody else's, or gone
    for entry in entries:
        if entry.name == _FOLLOWED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in _GROWING:
                yield from _walk(entry)
        elif entry.suffix not in (".log", ".new", ".part", ".tmp", ".pid", ".sock"):
            yield entry


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()[:LARGEST_HASHED]).hexdigest()
    except OSError as error:
        return type(error).__name__


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _postgres(url: str) -> Marks:
    """Settings that differ from the defaults, triggers, locks, and what has a name as faults make them: applications make tables, too."""
    import psycopg  # only where a database is looked at

    queries = {
        "settings": "SELECT name, setting FROM pg_settings WHERE source IN ('configuration file', 'database', 'user') ORDER BY 1",
        "settings by role": "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2",
        "relations": f"SELECT relkind, relname FROM pg_class WHERE relname ~ '{_OF_FAULTS}' ORDER BY 1, 2",
        "sessions": f"SELECT application_name FROM pg_stat_activity WHERE application_name ~ '{_OF_FAULTS}' ORDER BY 1",
        "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "prepared": "SELECT gid FROM pg_prepared_xacts ORDER BY 1",
        "advisory locks": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    }
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, options="-c statement_timeout=2000") as connection:
            return {name: json.dumps(connection.execute(query.encode()).fetchall(), default=str) for name, query in queries.items()}
    except psycopg.Error as error:
        return {"settings": f"no answer: {error}"}


def _redis(url: str) -> Marks:
    """Its configuration, who may log in, and what faults made for themselves: databases beside the first, named connections."""
    import redis

    client: Any = redis.Redis.from_url(
        url, socket_timeout=CONNECT_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S, decode_responses=True
    )
    try:
        return {
            "settings": json.dumps(client.config_get("*"), sort_keys=True),
            "users": json.dumps(client.acl_list()),
            "databases": ", ".join(sorted(set(client.info("keyspace")) - {"db0"})),
            "sessions": ", ".join(sorted(entry["name"] for entry in client.client_list() if re.search(_OF_FAULTS, entry["name"]))),
        }
    except redis.RedisError as error:
        return {"settings": f"no answer: {error}"}
    finally:
        client.close()


_SETTINGS: Mapping[str, Callable[[str], Marks]] = {"postgres": _postgres, "postgresql": _postgres, "redis": _redis}
