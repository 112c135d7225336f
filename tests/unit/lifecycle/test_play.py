"""The clockwork of a run on a fake clock: phases on time, and everything that ends a run early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.lifecycle.play import Ending, Parts, Player
from harness.lifecycle.signals import Interruption
from harness.lifecycle.timeline import plan
from harness.record import events as ev
from harness.record import store
from harness.record.clock import NS_PER_S, utc_now
from harness.record.frames import FrameWriter
from harness.record.journal import Journal, read_journal
from harness.record.requests import REQUEST_DTYPE, Outcome
from harness.report.state import LiveState
from harness.testing import FakeClock
from tests.history_builder import scenario

FAULT = {"id": "f", "type": "process.kill", "target": "retrieval-1"}
T0_S = 100.0


@dataclass
class Fakes:
    """Parts whose lives a test ends at a time of its choice."""

    clock: FakeClock
    dies_at_s: dict[str, float] = field(default_factory=dict)
    interruption: Interruption = field(default_factory=Interruption)
    due: list[float] = field(default_factory=list)
    active: tuple[str, ...] = ()
    more_to_come: bool = False

    def _dead(self, name: str) -> bool:
        return self.clock.now_ns() / NS_PER_S >= T0_S + self.dies_at_s.get(name, float("inf"))

    def run_due(self, now_ns: int) -> None:
        self.due.append(now_ns / NS_PER_S - T0_S)
        if self._dead("us"):
            self.interruption.signal = "SIGTERM"

    def look(self, **_: Any) -> None: ...

    def parts(self) -> Parts:
        load = _Polled(lambda: 3 if self._dead("load") else None)
        on_call = _Polled(lambda: 7 if self._dead("operator") else None)
        lease = _Polled(lambda: None, lambda: not self._dead("watchdog"))
        return Parts(self, load, on_call, lease, self, self.interruption)  # type: ignore[arg-type]


@dataclass
class _Polled:
    poll: Callable[[], int | None]
    alive: Callable[[], bool] = lambda: True


def played(
    tmp_path: Path, fakes_at: dict[str, float] | None = None, rows: Any = None, **fields: Any
) -> tuple[Ending, list[Any], Fakes, list[LiveState]]:
    clock = FakeClock(T0_S - 0.3)
    asked = scenario(**({"phases": {"warmup": "2s", "steady_state": "6s", "fault": "4s"}} | fields))
    directory = store.create(tmp_path, "played", utc_now(), "x")
    store.write_run_file(directory, {})
    if rows is not None:
        writer = FrameWriter(directory.requests / "0.seg", REQUEST_DTYPE, {"journeys": ["ask"]})
        writer.append(rows)
        writer.close()
    journal, seen = Journal(directory.events), []
    fakes = Fakes(clock, fakes_at or {})
    player = Player(asked, directory, plan(asked, round(T0_S * NS_PER_S)), journal, clock, seen.append)
    ending = player.play(fakes.parts())
    journal.close()
    return ending, list(read_journal(directory.events)), fakes, seen


def requests(outcome: Outcome, seconds: int) -> Any:
    rows = np.zeros(seconds * 10, dtype=REQUEST_DTYPE)
    rows["seq"] = np.arange(len(rows))
    rows["intended_ns"] = rows["start_ns"] = round(T0_S * NS_PER_S) + np.arange(len(rows)) * NS_PER_S // 10
    rows["end_ns"] = rows["intended_ns"] + 1_000_000
    rows["outcome"] = outcome
    return rows


def test_phases_begin_and_end_on_time(tmp_path: Path) -> None:
    ending, events, fakes, seen = played(tmp_path)
    assert ending == Ending("completed", early=False)
    assert [(e.data["name"], e.data["state"], round(e.t_ns / NS_PER_S - T0_S, 3)) for e in events] == [
        ("warmup", "start", 0.0), ("warmup", "end", 2.0), ("steady_state", "start", 2.0),
        ("steady_state", "end", 8.0), ("fault", "start", 8.0), ("fault", "end", 12.0),
    ]  # fmt: skip
    assert max(b - a for a, b in zip(fakes.due, fakes.due[1:], strict=False)) <= 0.051
    assert (seen[0].phase, seen[-1].phase) == ("warmup", "fault")
    assert seen[-1].offered_per_s == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("who", "reason", "kind"),
    [("load", "load_failed", ev.LOAD), ("watchdog", "watchdog_died", ev.WATCHDOG), ("us", "interrupted", ev.INTERRUPTED)],
)
def test_what_a_run_cannot_go_on_without_ends_it(tmp_path: Path, who: str, reason: str, kind: str) -> None:
    ending, events, fakes, _ = played(tmp_path, {who: 5.0})
    assert ending == Ending(reason, early=True)
    assert [e.kind for e in events if e.kind != ev.PHASE] == [kind]
    assert fakes.due[-1] == pytest.approx(5.0, abs=0.6)
    assert (events[-1].data["name"], events[-1].data["state"]) == ("steady_state", "end")


def test_a_dead_operator_is_noted_once_and_the_run_goes_on(tmp_path: Path) -> None:
    ending, events, *_ = played(tmp_path, {"operator": 3.0})
    assert ending.reason == "completed"
    assert [e.data for e in events if e.kind == ev.OPERATOR] == [{"state": "exited", "returncode": 7}]


def test_an_abort_rule_that_holds_long_enough_stops_the_run(tmp_path: Path) -> None:
    ending, events, fakes, _ = played(tmp_path, rows=requests(Outcome.ERROR, 12), abort=[{"availability": "< 50%", "for": "3s"}])
    assert ending == Ending("aborted", early=True)
    assert [e.data for e in events if e.kind == ev.ABORT] == [{"rule": "availability < 50%", "for_s": 3.0, "value": 0.0}]
    assert 3.0 <= fakes.due[-1] <= 4.1


def test_an_abort_rule_is_not_met_by_silence(tmp_path: Path) -> None:
    ending, *_ = played(tmp_path, abort=[{"availability": "< 50%", "for": "3s"}])
    assert ending.reason == "completed"


def test_nothing_is_broken_where_there_is_no_steady_state(tmp_path: Path) -> None:
    ending, events, *_ = played(
        tmp_path, rows=requests(Outcome.ERROR, 8), faults=[FAULT], objectives={"steady_state": {"availability": ">= 99%"}}
    )
    assert ending == Ending("not_steady", early=True)
    assert [e.data["rule"] for e in events if e.kind == ev.ABORT] == ["steady_state"]
    assert "fault" not in {e.data.get("name") for e in events}
