"""Takes faults back from what the lease says alone: no stack, no scenario, no harness."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.cluster import Cluster, ClusterError, ClusterRef
from harness.faults.admin_client import call
from harness.faults.base import FaultError, Undo
from harness.faults.points_aside import undo_points
from harness.faults.undo_stores import undo_named, undo_redis, undo_sql
from harness.record.clock import SystemClock
from harness.stack.base import AdminApi
from harness.sweep import Found, same_process
from harness.sweep_containers import run_in_networks, unpause
from harness.sweep_kubernetes import remove_chaos

HTTP_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one undo entry. `ok` also when there was nothing left to undo."""

    op: str
    ok: bool
    detail: str


def execute(undo: Undo, work_dir: Path) -> Undone:
    """Carry out one entry; never raises. Paths outside `work_dir` are refused."""
    action = _OPERATIONS.get(undo.op)
    if action is None:
        return Undone(undo.op, False, f"unknown operation; known: {', '.join(sorted(_OPERATIONS))}")
    try:
        return Undone(undo.op, True, action(undo.args, work_dir))
    except (FaultError, OSError, psutil.Error, KeyError, TypeError, ValueError) as error:
        return Undone(undo.op, False, f"{type(error).__name__}: {error}")


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants, parents first; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _continue(args: Mapping[str, Any], _work_dir: Path) -> str:
    return _to_tree(args, psutil.Process.resume, "continued")


def _terminate(args: Mapping[str, Any], _work_dir: Path) -> str:
    return _to_tree(args, psutil.Process.kill, "killed")


def _to_tree(args: Mapping[str, Any], action: Callable[[psutil.Process], None], done: str) -> str:
    """Act on the process and its descendants, if the pid is still that very process."""
    root = same_process(Found(int(args["pid"]), float(args["create_time_s"]), ""))
    if root is None:
        return f"pid {args['pid']} is gone"
    count = 0
    for process in process_tree(root.pid):
        try:
            action(process)
            count += 1
        except psutil.NoSuchProcess:
            continue
    return f"{done} {count} process(es) from pid {root.pid}"


def _unpause(args: Mapping[str, Any], _work_dir: Path) -> str:
    return unpause(str(args["container"]))


def _rules(args: Mapping[str, Any], _work_dir: Path) -> str:
    """What network namespaces hold goes by a script, in all of the run's that there are: those of instances that have ended are gone."""
    return run_in_networks(str(args["run_id"]), str(args["script"]))


def _http(args: Mapping[str, Any], _work_dir: Path) -> str:
    try:
        call(AdminApi(str(args["url"]), str(args["token"])), str(args["method"]), "", timeout_s=HTTP_TIMEOUT_S)
    except ConnectionRefusedError:
        return f"nobody listens at {args['url']}: it went with its process"
    return f"{args['method']} {args['url']}"


def _kubernetes(args: Mapping[str, Any], _work_dir: Path) -> str:
    """A fault that is an object on a cluster: deleted, and waited for, because only its finalizer says that it is taken back."""
    what = f"{args['kind']} {args['name']}"
    clock = SystemClock()
    try:
        cluster = Cluster.connect(ClusterRef(args["kubeconfig"], args["context"]))
        if cluster.find(str(args["kind"]), str(args["namespace"]), str(args["name"])) is None:
            return f"{what} is gone"
        if not remove_chaos(cluster, str(args["namespace"]), str(args["kind"]), str(args["name"]), clock):
            raise FaultError(f"{what} is not taken back: its finalizer is still there")
    except ClusterError as error:
        raise FaultError(f"{what}: {error}") from error
    return f"deleted {what}"


def _rmtree(args: Mapping[str, Any], work_dir: Path) -> str:
    path = Path(str(args["path"]))
    if work_dir.resolve() not in path.resolve().parents:
        raise FaultError(f"{path} is not inside {work_dir}")
    if not path.exists():
        return f"{path} is gone"
    shutil.rmtree(path)
    return f"removed {path}"


def _command(args: Mapping[str, Any], _work_dir: Path) -> str:
    """For stacks that outlive the run: only their own commands bring them back."""
    argv = [str(part) for part in args["argv"]]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise FaultError(f"{argv[0]} has not ended after {COMMAND_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        raise FaultError(f"{argv[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return f"ran {' '.join(argv)}"


_OPERATIONS: Mapping[str, Callable[[Mapping[str, Any], Path], str]] = {
    "continue": _continue,
    "terminate": _terminate,
    "unpause": _unpause,
    "http": _http,
    "rules": _rules,
    "rmtree": _rmtree,
    "command": _command,
    "kubernetes": _kubernetes,
    "sql": undo_sql,
    "redis": undo_redis,
    "points": undo_points,
    "terminate_named": undo_named,
}
