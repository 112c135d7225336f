"""A stack of one cache or database that runs already, for faults of stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from harness.faults.base import Context, Evidence, Fault
from harness.faults.registry import BY_NAME, build
from harness.faults.undo import execute
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.catalog import Role, StackInfo
from harness.scenario.model import FaultUse
from harness.stack.base import Instance

WITHIN_S = 60.0


class StoreStack:
    """`Stack` without capabilities: its one service `store` is at `url`."""

    entry_url = ""
    api_key = None

    def __init__(self, role: Role, url: str) -> None:
        self.info = StackInfo("store", {"store": 1}, frozenset(), frozenset(), frozenset(), roles={"store": role})
        self.url = url

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours."""

    def instances(self, service: str) -> Sequence[Instance]:
        return [Instance(service, f"{service}-1", self.url, "")]

    def probe(self, instance: Instance) -> str | None:
        return None

    def targets(self) -> Mapping[str, Any]:
        return {}


def make(name: str, stack: StoreStack, **parameters: Any) -> Any:
    """The fault on the store, typed as its own class is: tests look at what only one of them has."""
    assert name in BY_NAME
    use = FaultUse.model_validate({"id": "one", "type": name, "target": "store", "for": "30s", "with": parameters})
    return build(use, Context(stack, SystemClock(), Random(5))).fault


def evidence_of(look: Callable[[], Evidence | None]) -> Evidence:
    """Look until there is evidence."""
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while (found := look()) is None:
        assert clock.now_ns() < deadline_ns, "no evidence in time"
        clock.sleep(0.05)
    assert found == json.loads(json.dumps(found)), "evidence goes into the record"
    return found


def keeps_its_promises(fault: Fault, tmp_path: Any) -> None:
    """Harmless without injection, twice as once, twice in a row, and once taken back from the lease alone."""
    fault.heal()
    assert evidence_of(fault.gone)
    for by_lease in (False, False, True):
        undo = fault.undo()
        assert fault.verify() is None, "evidence without a fault proves nothing"
        fault.inject()
        fault.inject()
        assert evidence_of(fault.verify)
        assert fault.gone() is None, "it is there"
        if by_lease:
            done = [execute(entry, tmp_path) for entry in reversed(undo)]
            assert done and all(entry.ok for entry in done), done
        else:
            fault.heal()
            fault.heal()
        assert evidence_of(fault.gone)
    fault.heal()
    assert evidence_of(fault.gone)
