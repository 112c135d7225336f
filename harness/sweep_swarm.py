"""Finds and removes what one run has on a swarm, by the label that outlives the harness: services, networks, configs and secrets among its
managers; containers and volumes on each of its engines.

Through the command line, as `sweep_containers` does. Which engines these are lies in a file of the run's work directory, from before the
first thing is made until the last one is gone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from harness.record.clock import NS_PER_S, Clock
from harness.sweep_containers import RUN_LABEL

ENGINES = "engines.json"
CALL_TIMEOUT_S = 10.0
END_WITHIN_S = 12.0  # a service may take 6 s to finish what it works on
GONE_WITHIN_S = 20.0
POLL_S = 0.2
_OF_SWARM = {"service": ("service", "ls"), "network": ("network", "ls"), "config": ("config", "ls"), "secret": ("secret", "ls")}
_OF_ENGINE = {"container": ("container", "ls", "--all"), "volume": ("volume", "ls")}
_FORCE = {"container": ("rm", "--force", "--volumes"), "volume": ("volume", "rm", "--force")}


class SilentError(RuntimeError):
    """An engine does not answer, or is no manager that has any say."""


class Kept(NamedTuple):
    """One thing of a run: on an engine, or, with the engine of a manager, in the swarm."""

    engine: str  # unix:///…
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def remember(folder: Path, engines: Iterable[str]) -> None:
    """Note the engines of a run (`unix:///…`, managers first) in its work directory."""
    (folder / ENGINES).write_text(json.dumps(list(engines)), encoding="utf-8")


def engines_of(*folders: Path) -> list[str]:
    """Those that were noted in one of these; empty where nothing was."""
    for folder in folders:
        try:
            return [str(engine) for engine in json.loads((folder / ENGINES).read_text(encoding="utf-8"))]
        except (OSError, ValueError):
            continue
    return []


def clear(engines: Sequence[str], run_id: str, clock: Clock) -> tuple[list[str], list[str]]:
    """Remove all of a run; returns what was removed and what is left, in words. An engine that does not answer counts as left."""
    found, _ = _look(engines, run_id)
    for thing in found:
        if thing.kind == "service":
            _remove(thing)
    _until(lambda: not _running(engines, run_id), clock, END_WITHIN_S)  # in order, as far as they get
    removed = dict.fromkeys(map(str, found))

    def sweep() -> bool:
        things, silent = _look(engines, run_id)
        removed.update(dict.fromkeys(map(str, things)))
        with ThreadPoolExecutor(8, thread_name_prefix="swarm") as pool:
            list(pool.map(_remove, things))
        return not things and not silent

    _until(sweep, clock, GONE_WITHIN_S)
    things, silent = _look(engines, run_id)
    left = [*map(str, things), *silent]
    return [name for name in removed if name not in left], left


def _look(engines: Sequence[str], run_id: str) -> tuple[list[Kept], list[str]]:
    """Everything of the run, and the engines that say nothing. A network goes after the services, before the volumes."""
    silent: list[str] = []
    things = _in_swarm(engines, run_id, silent)
    with ThreadPoolExecutor(max(1, len(engines)), thread_name_prefix="swarm") as pool:
        for engine, answer in zip(engines, pool.map(lambda engine: _attempt(engine, _OF_ENGINE, run_id), engines), strict=True):
            if isinstance(answer, SilentError):
                silent.append(f"whatever is on {engine}: {answer}")
            else:
                things += answer
    return things, silent


def _in_swarm(engines: Sequence[str], run_id: str, silent: list[str]) -> list[Kept]:
    """What the first manager knows that can be asked."""
    answer: list[Kept] | SilentError = SilentError("no engine is known")
    for engine in engines:
        answer = _attempt(engine, _OF_SWARM, run_id)
        if not isinstance(answer, SilentError):
            return answer
    silent.append(f"whatever is in the swarm: {answer}")
    return []


def _running(engines: Sequence[str], run_id: str) -> list[Kept]:
    """Containers that have not ended. The swarm takes its time to remove them then: that is done here."""
    with ThreadPoolExecutor(max(1, len(engines)), thread_name_prefix="swarm") as pool:
        answers = list(pool.map(lambda engine: _attempt(engine, {"container": ("container", "ls")}, run_id), engines))
    return [thing for answer in answers if not isinstance(answer, SilentError) for thing in answer]


def _attempt(engine: str, kinds: Mapping[str, tuple[str, ...]], run_id: str) -> list[Kept] | SilentError:
    try:
        return [thing for kind, verb in kinds.items() for thing in _listed(engine, kind, verb, run_id)]
    except SilentError as error:
        return error


def _listed(engine: str, kind: str, verb: tuple[str, ...], run_id: str) -> Iterator[Kept]:
    for identity in _docker(engine, *verb, "--quiet", f"--filter=label={RUN_LABEL}={run_id}").split():
        yield Kept(engine, kind, identity)


def _remove(thing: Kept) -> None:
    """Says nothing: look again."""
    verb = _FORCE.get(thing.kind, (thing.kind, "rm"))
    try:
        _docker(thing.engine, *verb, thing.id)
    except SilentError:
        return


def _docker(engine: str, *arguments: str) -> str:
    """Its standard output. Raises SilentError."""
    command = ["docker", "--host", engine, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise SilentError(f"{type(error).__name__}: {error}") from error
    if done.returncode != 0:
        raise SilentError(done.stderr.strip().partition("\n")[0])
    return done.stdout


def _until(condition: Callable[[], bool], clock: Clock, within_s: float) -> None:
    end_ns = clock.now_ns() + round(within_s * NS_PER_S)
    while not condition() and clock.now_ns() < end_ns:
        clock.sleep(POLL_S)
