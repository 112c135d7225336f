"""A port that is shut while a fault says so, and opened in time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mocks.faults.door import Door
from tests.unit.mocks_faults.calls import Clock, Facts, Plan, table


@dataclass
class Timers:
    """Timers of a loop that the test turns."""

    clock: Clock
    due: dict[int, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    made: int = 0

    def at(self, moment_s: float, callback: Callable[[], None]) -> Any:
        self.made += 1
        number = self.made
        self.due[number] = (moment_s, callback)
        return type("Handle", (), {"cancel": lambda _self: self.due.pop(number, None)})()

    def run_until(self, moment_s: float) -> None:
        while self.due:
            number, (due_s, callback) = min(self.due.items(), key=lambda item: item[1][0])
            if due_s > moment_s:
                break
            del self.due[number]
            self.clock.now_s = max(self.clock.now_s, due_s)
            callback()
        self.clock.now_s = moment_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timers(clock: Clock) -> Timers:
    return Timers(clock)


def said_by(document: dict[str, Any], clock: Clock, timers: Timers, seconds: int) -> list[tuple[float, str]]:
    """What the server is told, and when, in the first seconds of this fault."""
    faults = table(clock)
    begun_s = clock.now_s
    said: list[tuple[float, str]] = []
    Door(faults, timers.at, lambda: said.append((clock.now_s - begun_s, "refuse")), lambda: said.append((clock.now_s - begun_s, "accept")))
    faults.put("x", {"type": "shut", **document})
    assert len(timers.due) <= 1
    timers.run_until(begun_s + seconds)
    return said


def test_a_fault_without_end_shuts_for_good(clock: Clock, timers: Timers) -> None:
    assert said_by({}, clock, timers, 100) == [(0, "refuse")]
    assert timers.made == 0


def test_the_end_of_its_time_opens(clock: Clock, timers: Timers) -> None:
    assert said_by({"ttl_s": 5}, clock, timers, 100) == [(0, "refuse"), (5, "accept")]
    assert timers.due == {}


def test_a_window_opens_and_shuts(clock: Clock, timers: Timers) -> None:
    assert said_by({"window": {"start_s": 2, "duration_s": 3}}, clock, timers, 100) == [(2, "refuse"), (5, "accept")]
    assert timers.due == {}


def test_a_burst_opens_and_shuts_until_its_time_is_over(clock: Clock, timers: Timers) -> None:
    document = {"burst": {"interval_s": 10, "duration_s": 4}, "ttl_s": 22}
    assert said_by(document, clock, timers, 100) == [
        (0, "refuse"),
        (4, "accept"),
        (10, "refuse"),
        (14, "accept"),
        (20, "refuse"),
        (22, "accept"),
    ]


def test_removing_opens_and_another_keeps_it_shut(clock: Clock, timers: Timers) -> None:
    faults = table(clock)
    said: list[str] = []
    faults.put("x", {"type": "shut"})
    Door(faults, timers.at, lambda: said.append("refuse"), lambda: said.append("accept"))
    faults.put("y", {"type": "shut"})
    faults.put("z", {"type": "broken"})
    faults.remove("x")
    assert said == ["refuse"]
    faults.remove("y")
    assert said == ["refuse", "accept"]
    faults.clear()
    assert said == ["refuse", "accept"]


def test_calls_on_open_connections_meet_the_fault_too(clock: Clock) -> None:
    faults = table(clock)
    faults.put("x", {"type": "shut", "window": {"start_s": 1, "duration_s": 1}})
    plans = [Plan(), Plan()]
    found = []
    for plan in plans:
        found.append(faults.apply(plan, Facts()))
        clock.now_s += 1
    assert found == [[], ["x"]]
    assert [plan.decided for plan in plans] == [False, True]


class Running(Clock):
    """One that goes on with every look at it, as clocks do."""

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


@pytest.mark.parametrize("early_s", [n / 1_000 + 0.0005 for n in range(8)])
def test_no_moment_is_missed_that_passes_between_two_looks_at_the_clock(early_s: float) -> None:
    """A loop's timers may be up to a millisecond early."""
    clock, waiting = Running(), list[tuple[float, Callable[[], None]]]()

    def at(moment_s: float, callback: Callable[[], None]) -> Any:
        waiting[:] = [(moment_s, callback)]
        return type("Handle", (), {"cancel": lambda _self: waiting.clear()})()

    said: list[str] = []
    faults = table(clock)
    Door(faults, at, lambda: said.append("refuse"), lambda: said.append("accept"))
    faults.put("x", {"type": "shut", "window": {"start_s": 2, "duration_s": 30}})
    while waiting[0][0] < 1_020:  # what is due at the window's end may wait
        moment_s, callback = waiting[0]
        clock.now_s = max(clock.now_s, moment_s - early_s)
        callback()
    assert said == ["refuse"]
