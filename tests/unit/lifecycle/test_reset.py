"""Between two faults everything that an operator moved goes back, and the record says what that was."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from harness.lifecycle.reset import Resetter, put_back
from harness.stack.base import Instance, StackError

INFO = SimpleNamespace(services={"llm": 1, "retrieval": 2, "postgres": 1}, settings={"llm_provider": "llm", "shed_ratio": 0.0})


class MovedStack:
    """Another provider, one replica too many, one down, one out of rotation."""

    info = INFO

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {"llm_provider": "llm_fallback", "shed_ratio": 0.0, "cache_epoch": 4}
        self.counts = {"llm": 1, "retrieval": 3, "postgres": 1}
        self.down = {"retrieval-2"}
        self.out = {"retrieval-1"}
        self.refuses = False

    def instances(self, service: str) -> Sequence[Instance]:
        scheme = "postgresql" if service == "postgres" else "http"
        return [Instance(service, f"{service}-{n}", f"{scheme}://127.0.0.1:{n}", "1") for n in range(1, self.counts[service] + 1)]

    def probe(self, instance: Instance) -> str | None:
        return "refused" if instance.name in self.down else None

    def configure(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        before = {name: self.settings[name] for name in settings}
        self.settings.update(settings)
        return before

    def scale(self, service: str, replicas: int) -> None:
        self.counts[service] = replicas

    def restart(self, instance: str) -> None:
        if self.refuses:
            raise StackError(f"{instance} does not start")
        self.down.discard(instance)

    def set_in_rotation(self, instance: str, in_rotation: bool) -> None:
        assert not instance.startswith("postgres")
        (self.out.discard if in_rotation else self.out.add)(instance)


def test_everything_goes_back_and_what_was_moved_is_told() -> None:
    stack = MovedStack()
    assert put_back(stack) == {  # type: ignore[arg-type]
        "settings": {"llm_provider": "llm_fallback"}, "replicas": {"retrieval": 3}, "restarted": ["retrieval-2"],
    }  # fmt: skip
    assert (stack.settings["llm_provider"], stack.settings["cache_epoch"], stack.counts["retrieval"]) == ("llm", 4, 2)
    assert (stack.down, stack.out) == (set(), set())
    assert put_back(stack) == {}  # type: ignore[arg-type]


def test_what_the_next_fault_breaks_meanwhile_is_left_to_it() -> None:
    """It begins while the surplus replica is taken away: what does not answer from then on is its victim."""
    stack = MovedStack()
    assert put_back(stack, calm=lambda: stack.counts["retrieval"] == 3) == {  # type: ignore[arg-type]
        "settings": {"llm_provider": "llm_fallback"}, "replicas": {"retrieval": 3}, "cut_short": True,
    }  # fmt: skip
    assert (stack.down, stack.out) == ({"retrieval-2"}, {"retrieval-1"})


@pytest.mark.parametrize(
    ("looks", "times"),
    [
        ([(False, True), (True, True), (False, True), (False, True)], 1),
        ([(True, False), (False, False)], 0),
        ([(True, True), (True, True)], 0),
        ([(True, True), (False, True), (True, True), (False, True)], 2),
    ],
)
def test_it_happens_once_after_each_fault_that_another_one_follows(looks: list[tuple[bool, bool]], times: int) -> None:
    notes: list[dict[str, Any]] = []
    resetter = Resetter(MovedStack(), notes.append)  # type: ignore[arg-type]
    for active, more in looks:
        resetter.look(active=active, more_to_come=more)
        resetter.join(60, meanwhile=list)
    assert len(notes) == times


def test_whoever_waits_for_it_can_do_something_meanwhile() -> None:
    """As the watchdog must be told that the harness lives."""
    went_on = threading.Event()

    class SlowStack(MovedStack):
        def configure(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
            assert went_on.wait(60)
            return super().configure(settings)

    notes: list[dict[str, Any]] = []
    resetter = Resetter(SlowStack(), notes.append)  # type: ignore[arg-type]
    resetter.look(active=True, more_to_come=True)
    resetter.look(active=False, more_to_come=True)
    resetter.join(100, meanwhile=went_on.set)
    assert len(notes) == 1


def test_a_failure_is_told() -> None:
    stack, notes = MovedStack(), []
    stack.refuses = True
    resetter = Resetter(stack, notes.append)  # type: ignore[arg-type]
    resetter.look(active=True, more_to_come=True)
    resetter.look(active=False, more_to_come=True)
    resetter.join(60, meanwhile=list)
    assert notes == [{"failed": "retrieval-2 does not start"}]
