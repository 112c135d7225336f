"""The stacks on which the catalogue is proved: which can take a fault, and one running at a time of those that are needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from harness.faults.fingerprint import World
from harness.faults.registry import CATALOG
from harness.scenario.catalog import StackInfo
from harness.scenario.checks.faults import check_faults
from harness.scenario.loader import load_text
from harness.scenario.model import Driver, StackSpec
from harness.scenario.targets import parse_target
from harness.stack.base import Stack
from harness.stack.catalog import info_for
from harness.stack.containers.stack import ContainerStack
from harness.stack.options import StackOptions
from harness.stack.processes import ProcessStack
from harness.stack.swarm.stack import SwarmStack
from tests.contract.small_stack import SmallStack
from tests.contract.uses import USES, Use
from tests.e2e.swarm_engines import stack_of_three

DOCUMENTS = 40
ALL_FAULTS = "GAUNTLET_ALL_FAULTS"
ONE_IN = 8
ONE_IN_APART = 4
PROVED = Path(__file__).parents[2] / "docs" / "faults" / "proved.json"


@dataclass(frozen=True)
class Kind:
    """One way to run a stack. `info` is told without starting it; `edges` get a proxy where the stack is asked for them."""

    name: str
    info: Callable[[Mapping[str, Any]], StackInfo]
    make: Callable[[str, Path, Mapping[str, Any], frozenset[tuple[str, str]]], Stack]  # run id, folder, options, proxied edges
    tiny: bool = False  # its services are stand-ins
    docker: bool = False  # it needs an engine
    families: frozenset[str] | None = None  # of the faults that are proved there; None: all that it can take
    apart: bool = False  # the same processes with a vector store, where most of a fault is the same

    @property
    def spread(self) -> bool:
        """It needs engines of its own."""
        return self.name == "swarm"

    def entry(self, use: Use) -> Mapping[str, Any]:
        """What a scenario would say there."""
        return use.entry_in(self.info(use.options).capabilities)


def _options(run_id: str, folder: Path, options: Mapping[str, Any], edges: frozenset[tuple[str, str]]) -> StackOptions:
    spec = StackSpec.model_validate(options)
    return StackOptions(
        run_id,
        folder / "work",
        folder,
        replicas=dict(spec.replicas),
        documents=DOCUMENTS,
        vector_store=spec.vector_store,
        tls=spec.tls,
        proxied_edges=edges,
        volumes=frozenset(str(use.entry["target"]) for name, use in USES.items() if "Volumed" in CATALOG[name].needs),
    )


def _info(driver: Driver, options: Mapping[str, Any]) -> StackInfo:
    return info_for(StackSpec.model_validate({**options, "driver": driver}))


def _swarm_info(options: Mapping[str, Any]) -> StackInfo:
    """As of the three engines, without starting them."""
    verbs = ("kill", "start", "pause", "resume", "cut", "mend")
    nodes = {name: {"engine": f"unix:///{name}.sock", **{verb: ["true"] for verb in verbs}} for name in "abc"}
    return info_for(StackSpec.model_validate({**options, "driver": "swarm", "nodes": nodes}))


def _swarm(run_id: str, folder: Path, options: Mapping[str, Any], edges: frozenset[tuple[str, str]]) -> SwarmStack:
    spec = StackSpec.model_validate({**options, "driver": "swarm", **stack_of_three()})
    return SwarmStack(spec, _options(run_id, folder, options, edges))


def _apart(store: str) -> Kind:
    """Processes whose vectors are kept apart from their documents: for faults of data, which then lie in two places."""

    def kept_apart(options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**options, "vector_store": store}

    def make(run_id: str, folder: Path, options: Mapping[str, Any], edges: frozenset[tuple[str, str]]) -> ProcessStack:
        return ProcessStack(_options(run_id, folder, kept_apart(options), edges))

    return Kind(store, lambda options: _info("processes", kept_apart(options)), make, families=frozenset({"data"}), apart=True)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("small", lambda _: SmallStack.info, lambda _run_id, folder, _options, _edges: SmallStack(folder), tiny=True),
        Kind("processes", partial(_info, "processes"), lambda *asked: ProcessStack(_options(*asked))),
        _apart("qdrant"),
        _apart("chroma"),
        Kind("containers", partial(_info, "containers"), lambda *asked: ContainerStack(_options(*asked)), docker=True),
        Kind("swarm", _swarm_info, _swarm, docker=True, families=frozenset({"host"})),
    )
}


def options_for(name: str, kind: Kind) -> Mapping[str, Any]:
    """Options of `stack:` with which a stack of that kind can take the fault: the tiny one has a vector service anyway."""
    use = USES[name]
    if use.mock and not kind.tiny and use.entry["target"] == "vector":
        return {"vector_store": "qdrant", **use.options}
    return use.options


@cache
def refusals(name: str, kind: Kind) -> list[str]:
    """Why a stack of that kind cannot take the fault as its row uses it; empty where it can."""
    use = USES[name]
    if kind.tiny and (use.real or use.options):
        return ["its row asks for more than stand-ins"]
    if kind.families is not None and CATALOG[name].family not in kind.families:
        return [f"{kind.name}: only {', '.join(sorted(kind.families))} are proved there"]
    if use.mock and not kind.tiny and not kind.docker:
        return ["its row is content with the mock of the tiny stack, which is the same process"]
    try:
        info = kind.info(options_for(name, kind))
    except ValueError as error:
        return [str(error)]
    document = {
        "name": "contract",
        "load": {"shape": [{"constant": "1/s"}]},
        "phases": {"steady_state": "30s", "fault": "60s"},
        "faults": [dict(kind.entry(use))],
    }
    return [str(problem) for problem in check_faults(load_text(yaml.safe_dump(document)), CATALOG, info)]


def kinds_for(name: str) -> list[Kind]:
    """The stacks that can take the fault."""
    return [] if USES[name].skip else [kind for kind in KINDS.values() if not refusals(name, kind)]


def sampled(name: str, kind: Kind) -> bool:
    """Whether the fault is played there this time: all where ALL_FAULTS is set, which also fills the table of docs/faults; else, on
    containers, an eighth of those that the table says were proved there, and with a vector store a quarter, drawn by the commit. A swarm
    has too few for that.
    """
    if os.environ.get(ALL_FAULTS):
        return True
    drawn = zlib.crc32(f"{_commit()} {name}".encode())
    if kind.apart:
        return drawn % ONE_IN_APART == 0
    return not kind.docker or (not kind.spread and kind.name in _proved().get(name, {}) and drawn % ONE_IN == 0)


@cache
def _proved() -> Mapping[str, Mapping[str, Any]]:
    """What every fault was proved on, as the last complete run noted it."""
    found: dict[str, dict[str, Any]] = json.loads(PROVED.read_text(encoding="utf-8"))
    return found


@cache
def _commit() -> str:
    """Of the tree that is tested; empty outside a repository."""
    head = ["git", "rev-parse", "HEAD"]
    return (
        subprocess.run(head, cwd=Path(__file__).parent, capture_output=True, text=True, check=False).stdout if shutil.which("git") else ""
    )


def edges_of(kind: Kind, options: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Edges that need a proxy on a stack which serves all rows with these options."""
    found = set()
    for name, use in USES.items():
        if options_for(name, kind) == options and not refusals(name, kind):
            info = kind.info(options)
            edge = parse_target(kind.entry(use)["target"], info).edge
            if edge is not None and CATALOG[name].through_proxy(info, use.entry.get("with", {})):
                found.add(edge)
    return frozenset(found)


class Pool:
    """Keeps one stack running: the one that was asked for last."""

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        self._make_folder = make_folder
        self._running: tuple[str, Mapping[str, Any], World] | None = None

    def world(self, name: str, kind: Kind) -> World:
        """A running stack that can take the fault, and what belongs to it."""
        options = options_for(name, kind)
        wanted = (kind.name, options)
        if self._running is not None and self._running[:2] == wanted:
            return self._running[2]
        self.end()
        run_id, folder = f"contract-{uuid.uuid4().hex[:8]}", self._make_folder()
        stack = kind.make(run_id, folder, options, edges_of(kind, options))
        world = World(stack, run_id, folder / "work")
        self._running = (*wanted, world)  # before the start: what fails half-way has to be ended too
        stack.start()
        return world

    def end(self) -> None:
        """End the running one, for good: also after a failure, for who knows what is left in it."""
        running, self._running = self._running, None
        if running is not None:
            running[2].stack.stop()


def order(name: str, kind: Kind) -> tuple[Any, ...]:
    """Sorts tests so that each stack is started once."""
    options = options_for(name, kind)
    return (list(KINDS).index(kind.name), options != {}, json.dumps(options, sort_keys=True))
