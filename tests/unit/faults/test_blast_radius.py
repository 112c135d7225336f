"""Nothing outside of the selection is touched: which instances a fault hits, over every fault that hits instances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import floor
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.base import Context, FaultError, KnownFault, Target
from harness.faults.group import GroupFault
from harness.faults.registry import CATALOG, build
from harness.record import views
from harness.record.events import FAULT, Event
from harness.scenario.model import FaultUse
from harness.stack.base import CAPABILITIES, Instance, Stack, StackError
from harness.stack.catalog import reference_info
from harness.testing import FakeClock
from tests.unit.faults.fakes import ScriptedFault

OF_INSTANCES = sorted(name for name, spec in CATALOG.items() if {"service", "instance"} <= set(spec.targets))


class RecordingStack:
    """Has every capability, does nothing, and notes whom it was asked to touch. Nothing of it is a process."""

    def __init__(self, replicas: dict[str, int], url: str = "http://127.0.0.1:9", pid: int | None = None) -> None:
        declared = reference_info({})
        self.info = replace(declared, services={**declared.services, **replicas}, capabilities=frozenset(CAPABILITIES) - {"Meshed"})
        self.touched: set[str] = set()
        self.entry_url, self.api_key, self._url, self._pid = url, None, url, pid

    def instances(self, service: str) -> list[Instance]:
        return [Instance(service, f"{service}-{n + 1}", self._url, "1.0.0", self._pid) for n in range(self.info.services[service])]

    def probe(self, instance: Instance) -> str | None:
        return None


def _touching(method: str) -> Callable[..., Any]:
    def touch(self: RecordingStack, target: str, *_: Any, **__: Any) -> Any:
        self.touched.add(str(target))
        if method in ("place", "stress", "proxy", "admin", "volume"):
            raise StackError(f"nothing real stands behind {target}")
        return SimpleNamespace(cpus=None, memory_bytes=None)

    return touch


for _protocol in CAPABILITIES.values():
    for _method in (name for name in vars(_protocol) if not name.startswith("_")):
        setattr(RecordingStack, _method, _touching(_method))


def use_of(name: str, **fields: Any) -> FaultUse:
    return FaultUse.model_validate({**yaml.safe_load(CATALOG[name].example), "target": service_of(name), **fields})


def service_of(name: str) -> str:
    """That of its example, which it fits."""
    return str(yaml.safe_load(CATALOG[name].example)["target"]).rpartition("-")[0] or str(yaml.safe_load(CATALOG[name].example)["target"])


def built(name: str, replicas: int, instances: str | int, seed: int) -> tuple[KnownFault, RecordingStack]:
    stack = RecordingStack({service_of(name): replicas})
    return build(use_of(name, instances=instances), Context(cast(Stack, stack), FakeClock(), Random(seed))), stack


@given(
    name=st.sampled_from(OF_INSTANCES),
    replicas=st.integers(1, 8),
    asked=st.one_of(st.sampled_from(["one", "all"]), st.integers(1, 9), st.integers(1, 100).map(lambda share: f"{share}%")),
    seed=st.integers(0, 2**32),
)
def test_as_many_as_asked_for_are_hit_and_no_other(name: str, replicas: int, asked: str | int, seed: int) -> None:
    if isinstance(asked, int):
        wanted = asked
    else:
        wanted = {"one": 1, "all": replicas}.get(asked) or floor(float(asked.rstrip("%")) / 100 * replicas + 0.5)
    if not 1 <= wanted <= replicas:
        with pytest.raises(FaultError, match="zero targets" if wanted < 1 else f"not {wanted}"):
            built(name, replicas, asked, seed)
        return
    known, stack = built(name, replicas, asked, seed)
    chosen = known.truth["instances"]
    assert chosen == sorted(set(chosen)) and len(chosen) == wanted
    assert set(chosen) <= {instance.name for instance in stack.instances(service_of(name))}
    assert built(name, replicas, asked, seed)[0].truth == known.truth, "the seed decides"
    assert known.truth["instance"] == (chosen[0] if wanted == 1 else None)
    play(known)
    assert stack.touched <= set(chosen)


def play(known: KnownFault) -> None:
    """Its verbs, as far as they come: nothing is real here, what counts is whom they try to touch."""
    for verb in (known.fault.undo, known.fault.inject, known.fault.heal):
        with suppress(FaultError):
            verb()


@pytest.mark.parametrize("name", ["process.kill", "process.pause", "process.stop", "deploy.slow_version"])
def test_all_that_were_chosen_are_touched(name: str) -> None:
    """The property above would hold for a fault that does nothing."""
    known, stack = built(name, 4, 3, 1)
    play(known)
    assert isinstance(known.fault, GroupFault) and len(known.fault.instances) == 3
    assert stack.touched == set(known.fault.instances)


def test_all_and_one_can_be_told_apart_from_the_record() -> None:
    known, _ = built("process.kill", 4, "50%", 3)
    (truth,) = views.faults([Event(1, FAULT, "truth", {**known.truth, "step": "intended"})])
    assert (len(truth.instances), truth.instance, truth.service) == (2, None, "retrieval")


def group(**scripts: dict[str, list[Any]]) -> tuple[GroupFault, list[str]]:
    calls: list[str] = []
    members = {name: ScriptedFault(calls, script, name) for name, script in scripts.items()}
    return GroupFault(members), calls


def test_a_group_bites_and_is_gone_only_where_every_member_is() -> None:
    both, _ = group(a={"verify": [{"seen": 1}], "gone": [None, {"left": 0}]}, b={"verify": [None, {"seen": 2}], "gone": [{"left": 0}]})
    assert both.verify() is None
    assert both.verify() == {"a.seen": 1, "b.seen": 2}
    assert both.gone() is None
    assert both.gone() == {"a.left": 0, "b.left": 0}
    assert (both.target, both.instances, len(both.undo())) == (Target("retrieval"), ("a", "b"), 2)


@pytest.mark.parametrize("verb", ["inject", "heal"])
def test_a_member_that_fails_keeps_no_other_from_its_turn(verb: str) -> None:
    both, calls = group(a={verb: [FaultError("busy")]}, b={})
    with pytest.raises(FaultError, match=r"^a: busy$"):
        getattr(both, verb)()
    assert sorted(calls) == [f"a {verb}", f"b {verb}"]


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        (RecordingStack({}, url="http://192.0.2.7:80"), "not on this machine; allow it: .*192.0.2.7"),
        (RecordingStack({}, url="http://metadata.example:80"), "not on this machine"),
        (RecordingStack({}, pid=1), "pid 1 of retrieval-1 is no process of this run: refused"),
    ],
)
def test_what_is_foreign_is_refused(stack: RecordingStack, says: str) -> None:
    with pytest.raises(FaultError, match=says):
        build(use_of("process.kill"), Context(cast(Stack, stack), FakeClock(), Random(1)))


def test_a_host_that_the_scenario_allows_may_be_touched() -> None:
    stack = RecordingStack({}, url="http://192.0.2.7:80")
    context = Context(cast(Stack, stack), FakeClock(), Random(1), allowed_hosts=frozenset({"192.0.2.7"}))
    assert build(use_of("process.kill"), context).truth["service"] == "retrieval"
