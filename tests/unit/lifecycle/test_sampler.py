"""Readiness is dated for as long as the run lasts, whatever comes and goes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from harness.lifecycle.sampler import Sampler
from harness.ops.targets import Targets
from harness.record.clock import SystemClock
from harness.record.events import Event
from harness.record.looks import read_looks
from harness.stack.base import Instance, StackError

NOBODY = Targets(kinds={}, registry=None, static={}, edges=())


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

    sampler = Sampler(stack, append, tmp_path, SystemClock(), NOBODY)  # type: ignore[arg-type]  # the part of a stack that it needs
    sampler.start()
    sampler.stop()
    assert [(e.data["instance"], e.data["state"]) for e in events] == [("retrieval-1", "ready"), ("retrieval-3", "ready")]


def test_what_an_operator_would_see_is_kept_without_credentials(tmp_path: Path) -> None:
    clock = SystemClock()
    targets = Targets(kinds={"cache": "redis"}, registry=None, static={"cache": ("redis://:secret@127.0.0.1:1/0",)}, edges=())
    sampler = Sampler(ScaledStack(), lambda event: event, tmp_path, clock, targets)  # type: ignore[arg-type]
    sampler.start()
    deadline_ns = clock.now_ns() + 60_000_000_000
    while not list(read_looks(tmp_path)) and clock.now_ns() < deadline_ns:
        clock.sleep(0.02)
    sampler.stop()
    round_, *_ = read_looks(tmp_path)
    (look,) = round_.looks
    assert (look.at.service, look.at.instance, look.at.url, look.error) == ("cache", "cache-1", "redis://127.0.0.1:1/0", "refused")
    assert round_.t_ns > 0 and 0 < look.duration_s <= round_.took_s
    assert "secret" not in "".join(p.read_text(errors="replace") for p in tmp_path.iterdir())


def test_what_goes_wrong_while_looking_is_in_the_record_once_and_the_looks_go_on(tmp_path: Path) -> None:
    events: list[Event] = []
    looks = 0
    stack = ScaledStack()

    def instances(service: str) -> Sequence[Instance]:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise ValueError("a registry that is torn")
        return []

    stack.instances = instances  # type: ignore[method-assign]  # the looks after the first fail
    clock = SystemClock()
    sampler = Sampler(stack, lambda event: events.append(event) or event, tmp_path, clock, NOBODY)  # type: ignore[arg-type, func-returns-value]
    sampler.start()
    deadline_ns = clock.now_ns() + 60_000_000_000
    while looks < 5 and clock.now_ns() < deadline_ns:
        clock.sleep(0.02)
    sampler.stop()
    assert looks >= 5
    ((kind, state, detail),) = [(e.kind, e.data["state"], e.data["detail"].partition(": ")[2]) for e in events]
    assert (kind, state, detail) == ("sampler", "failed", "ValueError: a registry that is torn")
