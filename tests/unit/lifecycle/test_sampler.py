"""Readiness is dated for as long as the run lasts, whatever comes and goes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from harness.lifecycle.sampler import Sampler
from harness.record.clock import SystemClock
from harness.record.events import Event
from harness.stack.base import Instance, StackError


class ScaledStack:
    """`gone` is still listed when it is asked for, and is no instance any more when it is probed: it was scaled away in between."""

    info = SimpleNamespace(services={"retrieval": 3})
    gone = ""

    def instances(self, service: str) -> Sequence[Instance]:
        return [Instance(service, f"{service}-{n}", "postgresql://127.0.0.1:1", "1") for n in (1, 2, 3)]

    def probe(self, instance: Instance) -> str | None:
        if instance.name == self.gone:
            raise StackError(f"no instance {instance.name!r}")
        return None


def test_an_instance_that_is_scaled_away_while_it_is_probed_is_neither_ready_nor_down(tmp_path: Path) -> None:
    events: list[Event] = []
    stack = ScaledStack()
    stack.gone = "retrieval-2"

    def append(event: Event) -> Event:
        events.append(event)
        return event

    sampler = Sampler(stack, append, tmp_path, SystemClock(), {})  # type: ignore[arg-type]  # the part of a stack that it needs
    sampler.start()
    sampler.stop()
    assert [(e.data["instance"], e.data["state"]) for e in events] == [("retrieval-1", "ready"), ("retrieval-3", "ready")]
