"""Finds and removes what one run has on the Docker engine, by the label that outlives the harness: containers, networks, volumes.

Through the command line, for whoever cleans up has neither the stack nor its engine's API. Without one there is nothing to be found.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

RUN_LABEL = "rag-gauntlet.run"
"""On everything that a run makes on an engine; its value is the run's id."""
CALL_TIMEOUT_S = 10.0
REMOVALS_AT_ONCE = 8
_LIST = {
    "container": ("ps", "--all", "--no-trunc", "--format={{.ID}} {{.Names}}"),
    "network": ("network", "ls", "--no-trunc", "--format={{.ID}} {{.Name}}"),
    "volume": ("volume", "ls", "--format={{.Name}} {{.Name}}"),
}
_REMOVE = {"container": ("rm", "--force", "--volumes"), "network": ("network", "rm"), "volume": ("volume", "rm", "--force")}


class Thing(NamedTuple):
    """One thing on the engine: `kind` is container, network or volume."""

    kind: str
    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def things_of(run_id: str) -> list[Thing]:
    """Everything on the engine that carries the run's label, in the order in which it can be removed."""
    if shutil.which("docker") is None:
        return []
    with ThreadPoolExecutor(len(_LIST), thread_name_prefix="docker") as pool:
        return [thing for found in pool.map(lambda kind: list(_listed(kind, run_id)), _LIST) for thing in found]


def remove_things(things: Iterable[Thing]) -> None:
    """Remove them by force, kind by kind: a network goes after what is attached to it. Says nothing: look again."""
    wanted = list(things)
    for kind in _LIST:
        of_kind = [thing for thing in wanted if thing.kind == kind]
        if of_kind:
            with ThreadPoolExecutor(REMOVALS_AT_ONCE, thread_name_prefix="docker") as pool:
                list(pool.map(lambda thing: _docker(*_REMOVE[thing.kind], thing.id), of_kind))


def unpause(container: str) -> str:
    """Let a paused container go on; returns what became of it. Harmless where it is not paused, or gone. Raises OSError."""
    try:
        done = subprocess.run(
            ["docker", "unpause", container], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"docker unpause: {error}") from error
    said = done.stderr.strip()
    if done.returncode == 0 or "is not paused" in said or "No such container" in said:
        return said or f"container {container[:12]} goes on"
    raise OSError(f"docker unpause: {said}")


def _listed(kind: str, run_id: str) -> Iterator[Thing]:
    for line in _docker(*_LIST[kind], f"--filter=label={RUN_LABEL}={run_id}").splitlines():
        identity, _, name = line.partition(" ")
        yield Thing(kind, identity, name)


def _docker(*arguments: str) -> str:
    """Its standard output; nothing when it fails or takes too long: an engine that is not there holds nothing of ours."""
    try:
        done = subprocess.run(
            ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
