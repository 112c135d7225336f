"""Finds and removes what one run has on the Docker engine, by the label that outlives the harness: containers, networks, volumes.

Through the command line, for whoever cleans up has neither the stack nor its engine's API. Without one there is nothing to be found.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

RUN_LABEL = "rag-gauntlet.run"
"""On everything that a run makes on an engine; its value is the run's id."""
SIDE_LABEL = "rag-gauntlet.side"
"""On what belongs to the second of two stacks of one run; its value is that side."""
TOOLS_LABEL = "rag-gauntlet.network-of"
"""On containers that share an instance's network and may change it; its value is the instance."""
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
    """Everything on the engine that carries the run's label, in the order in which it can be removed.

    Raises TimeoutError where the engine does not answer in time: it may hold much of the run.
    """
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
                list(pool.map(_remove, of_kind))


def told(thing: Thing) -> str:
    """What resisted, for a person to deal with.

    An engine may count an endpoint on a network that no container has (moby/moby#42119), and keeps the network until it is started again.
    """
    with suppress(TimeoutError):
        if thing.kind == "network" and _docker("network", "inspect", "--format={{len .Containers}}", thing.id).strip() == "0":
            return f"{thing} (nothing is attached to it, and the engine keeps it: restart the engine, then `gauntlet clean`)"
    return str(thing)


def _remove(thing: Thing) -> None:
    with suppress(TimeoutError):  # it may be removed all the same
        _docker(*_REMOVE[thing.kind], thing.id)


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


def run_in_networks(run_id: str, script: str) -> str:
    """Run a shell script in every container of the run that holds network tools; returns where. Raises OSError with what one said.

    Harmless where there is none: what it would change has ended with its network.
    """
    filters = (f"--filter=label={RUN_LABEL}={run_id}", f"--filter=label={TOOLS_LABEL}", "--filter=status=running")
    names = sorted(_docker("ps", "--format={{.Names}}", *filters).split())
    with ThreadPoolExecutor(REMOVALS_AT_ONCE, thread_name_prefix="docker") as pool:
        failed = [said for said in pool.map(lambda name: _script(name, script), names) if said is not None]
    if failed:
        raise OSError("; ".join(failed))
    return f"done in {', '.join(names)}" if names else "no network of the run is left"


def _script(container: str, script: str) -> str | None:
    """What went wrong; None where nothing did, or the container has ended meanwhile."""
    argv = ["docker", "exec", container, "sh", "-c", script]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False)
    except subprocess.SubprocessError as error:
        return f"docker exec {container}: {error}"
    said = (done.stderr or done.stdout).strip()
    if done.returncode == 0 or "No such container" in said or "is not running" in said:
        return None
    return f"{container}: exit status {done.returncode}: {said[-300:]}"


def _listed(kind: str, run_id: str) -> Iterator[Thing]:
    for line in _docker(*_LIST[kind], f"--filter=label={RUN_LABEL}={run_id}").splitlines():
        identity, _, name = line.partition(" ")
        yield Thing(kind, identity, name)


def _docker(*arguments: str) -> str:
    """Its standard output; nothing when it fails: an engine that is not there holds nothing of ours. Raises TimeoutError."""
    try:
        done = subprocess.run(
            ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"docker {arguments[0]}: no answer in {CALL_TIMEOUT_S:g} s") from error
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
