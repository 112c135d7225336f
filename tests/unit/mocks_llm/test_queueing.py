"""Places in generation: so many at once, the others in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable

from mocks.llm.queueing import Slots


class Place:
    """A claimant that does what it is given."""

    def __init__(self, slots: Slots, start: Callable[[], None]) -> None:
        self._slots = slots
        self.start = start
        self.running = False

    def leave(self) -> None:
        self._slots.leave(self)


class Line:
    """Notes who started."""

    def __init__(self, most: int | None) -> None:
        self.slots = Slots(most)
        self.started: list[str] = []
        self.places: dict[str, Place] = {}

    def enter(self, name: str, then: Callable[[], None] = lambda: None) -> None:
        def start() -> None:
            self.started.append(name)
            then()

        self.places[name] = Place(self.slots, start)
        if self.slots.enter(self.places[name]):
            start()

    def state(self) -> tuple[list[str], int, int]:
        return self.started, self.slots.running, self.slots.waiting


def test_first_come_first_served() -> None:
    line = Line(2)
    for name in "abcd":
        line.enter(name)
    assert line.state() == (["a", "b"], 2, 2)
    line.places["b"].leave()
    assert line.state() == (["a", "b", "c"], 2, 1)
    line.places["b"].leave()  # a second time
    assert line.state() == (["a", "b", "c"], 2, 1)
    line.places["d"].leave()  # in line
    line.places["a"].leave()
    line.places["c"].leave()
    assert line.state() == (["a", "b", "c"], 0, 0)


def test_without_a_limit_nobody_waits() -> None:
    line = Line(None)
    for name in "abc":
        line.enter(name)
    assert line.state() == (["a", "b", "c"], 3, 0)


def test_a_long_line_that_is_served_at_once_is_no_deep_stack() -> None:
    line = Line(1)
    line.enter("first")
    for number in range(5_000):
        name = str(number)
        line.enter(name, lambda name=name: line.places[name].leave())
    line.places["first"].leave()
    assert (len(line.started), line.slots.running, line.slots.waiting) == (5_001, 0, 0)


def test_another_limit_while_some_wait() -> None:
    line = Line(1)
    for name in "abc":
        line.enter(name)
    line.slots.change(2)
    assert line.state() == (["a", "b"], 2, 1)
    line.slots.change(1)
    line.places["a"].leave()
    assert line.state() == (["a", "b"], 1, 1)
    line.places["b"].leave()
    assert line.state() == (["a", "b", "c"], 1, 0)
