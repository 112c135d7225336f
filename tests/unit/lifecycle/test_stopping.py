"""What `gauntlet stop` says of faults: it is so, whoever has healed them, and also where nobody has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.faults.lease_files import Holder
from harness.lifecycle import stopping
from harness.lifecycle.stopping import HEALED_S, StopError, stop_run
from harness.record import events as ev
from harness.record.clock import NS_PER_S
from harness.record.events import Event
from harness.record.journal import Journal
from harness.record.store import RunDirectory
from harness.testing import FakeClock

Script = dict[float, Callable[[], object]]


class Run:
    """A run that is told to stop at 0 s; what it and its watchdog then do is `script`, by seconds. It ends with its work directory."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder / "run")
        self.directory.path.mkdir()
        self.directory.run_file.write_text("{}", encoding="utf-8")
        self.work = folder / "work"
        self.work.mkdir()
        self.own, self.watchdogs = Journal(self.directory.events), Journal(self.directory.watchdog_events)
        self.clock = FakeClock()
        self.asked_s: list[float] = []
        self.on_asked: Callable[[], object] = lambda: None
        me = psutil.Process()
        self.holder = Holder("abc", os.getpid(), me.create_time(), self.work, self.directory.path)

    def fault(self, step: str, by: str | None = None, journal: Journal | None = None) -> None:
        data = {"id": "slow", "type": "test", "fault_kind": "latency", "service": "llm", "step": step, **({"by": by} if by else {})}
        (journal or self.own).append(Event(self.clock.now_ns(), ev.FAULT, "truth", data))

    def taken_back(self) -> None:
        self.fault("healed", "watchdog", self.watchdogs)

    def noticed(self) -> None:
        self.own.append(Event(self.clock.now_ns(), ev.INTERRUPTED, "truth", {"signal": "SIGINT"}))

    def ask(self, _holder: Holder) -> None:
        self.asked_s.append(self.clock.now_ns() / NS_PER_S)
        self.on_asked()

    def stop(self, script: Script) -> list[str]:
        """What is said, in order."""
        said: list[str] = []
        sleep, left = self.clock.sleep, dict(script)

        def slept(seconds: float) -> None:
            sleep(seconds)
            for at_s in [at_s for at_s in left if at_s <= self.clock.now_ns() / NS_PER_S]:
                left.pop(at_s)()

        self.clock.sleep = slept  # type: ignore[method-assign]
        stop_run(self.directory.path, said.append, self.clock)
        return [line.partition(": ")[2] for line in said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    made = Run(tmp_path)
    monkeypatch.setattr(stopping, "holders", lambda: [made.holder])
    monkeypatch.setattr(stopping, "same_process", lambda _found: None)
    monkeypatch.setattr(stopping, "_ask_watchdog", made.ask)
    yield made
    made.own.close()
    made.watchdogs.close()


def test_a_run_that_heals_says_so_and_its_watchdog_is_left_alone(run: Run) -> None:
    run.fault("intended")
    said = run.stop({0.1: run.noticed, 0.8: lambda: run.fault("healed"), 3.0: run.work.rmdir})
    assert said[0] == "healed after 0.80 s"
    assert (len(said), run.asked_s) == (2, [])


def test_of_a_run_that_hangs_the_watchdog_heals_within_the_time_and_is_named(run: Run) -> None:
    run.fault("intended")
    said = run.stop({1.4: run.taken_back, 3.0: run.work.rmdir})
    assert said[0] == "healed after 1.40 s, by its watchdog; the run does not answer"
    assert len(run.asked_s) == 1 and 0.5 < run.asked_s[0] < 0.8
    assert len(said) == 2


def test_what_is_healed_later_is_said_to_be_not_healed_and_then_healed(run: Run) -> None:
    run.fault("intended")
    said = run.stop({2.6: run.taken_back, 4.0: run.work.rmdir})
    assert said[0] == "NOT HEALED after 2 s: slow; the run does not answer, and its watchdog was asked to take back its faults"
    assert said[1] == "healed after 2.60 s, by its watchdog; the run does not answer"


def test_a_verb_that_hangs_is_taken_back_too(run: Run) -> None:
    run.fault("intended")
    run.on_asked = run.taken_back
    said = run.stop({0.1: run.noticed, 3.0: run.work.rmdir})
    assert said[0].startswith("healed after 1.2") and said[0].endswith(" s")
    assert len(run.asked_s) == 1 and run.asked_s[0] > 1.2


def test_a_run_that_hangs_with_nothing_injected_is_told_from_one_with_a_fault(run: Run) -> None:
    assert run.stop({3.0: run.work.rmdir})[0] == "nothing is injected; the run does not answer"
    assert HEALED_S == 2.0


def test_a_run_that_goes_on_is_an_error(run: Run) -> None:
    run.fault("intended")
    with pytest.raises(StopError, match="goes on"):
        run.stop({0.1: run.noticed, 0.2: lambda: run.fault("healed")})
