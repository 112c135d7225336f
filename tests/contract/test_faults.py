"""What every fault of the catalogue keeps: it bites, it says so by evidence, it goes, and it can be taken back without the harness.

Each fault is played once on every stack that can take it (`stacks.py`), as its row says (`uses/`): tiny processes, and (e2e) the reference
stack.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from harness.faults.base import Context, Evidence, Fault
from harness.faults.fingerprint import Fingerprint, World, settled, take
from harness.faults.registry import CATALOG, build
from harness.faults.undo import execute
from harness.inbox import Inbox
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.model import FaultUse
from harness.scenario.targets import parse_target
from harness.stack.base import Restartable, Spreadable, Stack
from tests.contract.conftest import FAILED
from tests.contract.small_stack import SmallStack
from tests.contract.stacks import KINDS, Kind, Pool, kinds_for, options_for, order, refusals, sampled
from tests.contract.traffic import traffic
from tests.contract.uses import USES
from tests.e2e.docker_engine import need_docker
from tests.e2e.swarm_engines import holder_of_three, need_swarm, stack_of_three

WITHIN_S = 45.0  # a run allows 15 s for the proof that a fault is gone, on a machine that it does not share with other tests
LOOK_EVERY_S = 0.05
SETTLES_WITHIN_S = 30.0


def _cases(benign: bool) -> list[object]:
    chosen = [
        (name, kind)
        for name in CATALOG
        if name in USES and (CATALOG[name].benign and not USES[name].leaves) is benign
        for kind in kinds_for(name)
        if sampled(name, kind)
    ]
    rows = sorted(((one, _marks(*one)) for one in chosen), key=lambda row: order(*row[0]))
    return [pytest.param(name, kind, id=f"{name}-{kind.name}", marks=mark) for (name, kind), mark in rows]


def _marks(name: str, kind: Kind) -> list[pytest.MarkDecorator]:
    """What a worker takes together: families of the tiny stack, else all rows of one stack. Three engines on one machine want it alone."""
    if kind.tiny:
        return [pytest.mark.xdist_group(f"faults.{name.partition('.')[0]}")]
    return [pytest.mark.e2e] if kind.spread else [pytest.mark.e2e, pytest.mark.beside, pytest.mark.xdist_group(f"faults.{kind.name}")]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    made = Pool(lambda: tmp_path_factory.mktemp("faults"))
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def world(pool: Pool, name: str, kind: Kind, request: pytest.FixtureRequest) -> Iterator[World]:
    """A stack that can take the fault, with the traffic that its row asks for. A test that fails takes its stack along."""
    use = USES[name]
    if use.root and os.geteuid() != 0:
        pytest.skip(f"{name} needs root")
    if kind.docker:
        need_docker()
    if kind.spread:
        need_swarm()
    try:
        target = parse_target(kind.entry(use)["target"], kind.info(options_for(name, kind)))
        spared = (holder_of_three(),) if kind.spread else ()
        running = replace(pool.world(name, kind), spared=spared, networks={target.service, *(target.edge or ())})
        with traffic(running.stack, use.traffic):
            yield running
    except BaseException:
        pool.end()
        raise
    if request.node.stash.get(FAILED, False):
        pool.end()


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Where a run would receive alerts; of no stack that could act."""
    with Inbox(SmallStack(Path()), lambda event: event, SystemClock(), "token") as started:
        yield started


def make(name: str, kind: Kind, world: World, inbox: Inbox) -> Fault:
    allowed = frozenset(stack_of_three()["allow_hosts"]) if world.stack.info.hosts else frozenset()
    context = Context(world.stack, SystemClock(), Random(5), run_id=world.run_id or "", webhook=inbox, allowed_hosts=allowed)
    return build(FaultUse.model_validate(kind.entry(USES[name])), context).fault


def make_as_used(name: str, stack: Stack) -> Fault:
    """The fault of its row, on a stack that is no run's."""
    return build(FaultUse.model_validate(USES[name].entry), Context(stack, SystemClock(), Random(5))).fault


def spread_again(stack: Stack) -> None:
    """As a run does between two faults: a host that was lost has nothing on it that could be lost again."""
    if isinstance(stack, Spreadable):
        stack.spread()


def evidence_of(look: Callable[[], Evidence | None], step: str) -> Evidence:
    """Look until there is evidence."""
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while (found := look()) is None:
        assert clock.now_ns() < deadline_ns, f"no evidence in time: {step}"
        clock.sleep(LOOK_EVERY_S)
    assert found == json.loads(json.dumps(found)), "evidence goes into the record"
    return found


def seconds_to(look: Callable[[], Evidence | None], step: str) -> float:
    """Seconds until there is evidence."""
    clock = SystemClock()
    begun_ns = clock.now_ns()
    assert evidence_of(look, step)
    return (clock.now_ns() - begun_ns) / NS_PER_S


def note_proved(name: str, kind: Kind, effective_s: float, gone_s: float) -> None:
    """For the table in docs/faults/README.md, where GAUNTLET_PROVED names its file."""
    stack = "processes" if kind.tiny and USES[name].mock else kind.name  # the mock of the tiny stack is the very same process
    if (where := os.environ.get("GAUNTLET_PROVED")) and stack in ("processes", "containers", "swarm"):
        file = Path(where)
        proved = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        proved.setdefault(name, {})[stack] = {"effective_s": round(effective_s, 1), "gone_s": round(gone_s, 1)}
        file.write_text(json.dumps(proved, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def pids_of(stack: Stack) -> dict[str, int | None]:
    return {instance.name: instance.pid for service in stack.info.services for instance in stack.instances(service)}


def left_since(before: Fingerprint, world: World) -> list[str]:
    return settled(before, lambda: take(world), SystemClock(), SETTLES_WITHIN_S)


def test_every_fault_has_a_row_and_every_row_a_fault() -> None:
    assert set(USES) == set(CATALOG)


@pytest.mark.parametrize("name", sorted(USES))
def test_every_fault_is_proved_on_some_stack(name: str) -> None:
    assert USES[name].skip or kinds_for(name), {kind.name: refusals(name, kind) for kind in KINDS.values()}


@pytest.mark.parametrize(("name", "kind"), _cases(benign=False))
def test_it_bites_and_goes(name: str, kind: Kind, world: World, inbox: Inbox, tmp_path: Path) -> None:
    spread_again(world.stack)
    before, pids = take(world), pids_of(world.stack)
    fault = make(name, kind, world, inbox)
    fault.heal()
    assert evidence_of(fault.gone, "gone before it was injected")
    assert fault.verify() is None, "evidence without a fault proves nothing"
    assert pids_of(world.stack) == pids, "healing what was never injected changes nothing"
    assert left_since(before, world) == []

    fault.undo()
    fault.inject()
    fault.inject()  # once more while it is there: it is still one fault
    effective_s = seconds_to(fault.verify, "it bites")
    assert fault.gone() is None, "it is there"
    fault.heal()
    gone_s = seconds_to(fault.gone, "gone after one heal")
    fault.heal()  # idempotent
    assert evidence_of(fault.gone, "gone after a second heal")
    assert left_since(before, world) == []
    spread_again(world.stack)

    undo = fault.undo()
    fault.inject()
    assert evidence_of(fault.verify, "it bites again")
    assert fault.gone() is None, "it is there again"
    done = [execute(entry, tmp_path) for entry in reversed(undo)]
    assert [entry for entry in done if not entry.ok] == []
    if not undo:  # ending the stack takes it back, and healing does
        fault.heal()
    assert evidence_of(fault.gone, "taken back by its undo entries alone")
    fault.heal()
    assert evidence_of(fault.gone, "healed after that")
    assert left_since(before, world) == []
    note_proved(name, kind, effective_s, gone_s)


@pytest.mark.parametrize(("name", "kind"), _cases(benign=True))
def test_a_change_is_carried_out_and_stays(name: str, kind: Kind, world: World, inbox: Inbox) -> None:
    fault = make(name, kind, world, inbox)
    assert fault.verify() is None
    fault.inject()
    found = evidence_of(fault.verify, "it is done")
    fault.heal()
    assert evidence_of(fault.gone, "everything is ready")
    assert fault.verify() == found


@pytest.mark.parametrize(("name", "kind"), [pytest.param("process.pause", KINDS["small"], id="all of them")])
def test_a_fault_of_all_instances_bites_and_goes_as_one(name: str, kind: Kind, world: World, tmp_path: Path) -> None:
    before = take(world)
    use = FaultUse.model_validate({**USES[name].entry, "target": "retrieval", "instances": "all"})
    known = build(use, Context(world.stack, SystemClock(), Random(5)))
    assert known.truth["instances"] == ["retrieval-1", "retrieval-2"]
    for _ in range(2):
        undo = known.fault.undo()
        known.fault.inject()
        found = evidence_of(known.fault.verify, "all bite")
        assert {key.partition(".")[0] for key in found} == {"retrieval-1", "retrieval-2"}
        assert known.fault.gone() is None
        assert all(execute(entry, tmp_path).ok for entry in undo)
        assert evidence_of(known.fault.gone, "all are gone")
        known.fault.heal()
    assert left_since(before, world) == []


@pytest.mark.parametrize(
    ("name", "kind"), [pytest.param(name, KINDS["small"], id=name) for name in ("process.kill", "cache.down") if name in USES]
)
def test_a_restart_by_somebody_else_heals_the_dead_and_is_not_repeated(name: str, kind: Kind, world: World, inbox: Inbox) -> None:
    fault = make(name, kind, world, inbox)
    fault.inject()
    assert evidence_of(fault.verify, "it is dead")
    stack = world.stack
    assert fault.target.instance is not None and isinstance(stack, Restartable)
    stack.restart(fault.target.instance)
    restarted = stack.instances(fault.target.service)
    fault.heal()
    assert evidence_of(fault.gone, "it is up")
    assert stack.instances(fault.target.service) == restarted
