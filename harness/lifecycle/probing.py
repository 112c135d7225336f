"""When probes are asked: a thread each, from the planned beginning of its time to the end of it. What counts is decided by the scorer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from harness.lifecycle.probe_kinds import Answer, Ask
from harness.lifecycle.timeline import Planned
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import PROBE, Event
from harness.scenario.model import Scenario
from harness.scenario.probes import Probe

JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A probe and its time."""

    probe: Probe
    start_ns: int
    end_ns: int


def turns(scenario: Scenario, phases: Sequence[Planned]) -> list[Turn]:
    """The times of all probes but those that come after the faults, which nobody can plan."""
    spans = {phase.name: phase for phase in phases}
    starts = {f.id: spans[f.phase].start_ns + round(f.offset_s * NS_PER_S) for f in scenario.faults}
    begin_ns, end_ns = phases[0].start_ns, phases[-1].end_ns
    found = []
    for probe in scenario.probes:
        if probe.mode == "before":
            first_ns = min(starts.values(), default=end_ns)
            found.append(Turn(probe, max(begin_ns, first_ns - round(_lead_s(probe) * NS_PER_S)), first_ns))
        elif probe.mode == "during":
            found.append(Turn(probe, spans["fault"].start_ns, spans["fault"].end_ns))
        elif probe.mode == "on_fault":
            use = next(f for f in scenario.faults if f.id == probe.fault)
            found.append(Turn(probe, starts[use.id], spans[use.phase].end_ns))
        elif probe.mode == "continuous":
            found.append(Turn(probe, begin_ns, end_ns))
    return found


def _lead_s(probe: Probe) -> float:
    """How long all its tries may take."""
    return (probe.retries + 1) * probe.timeout + probe.retries * probe.every


class Prober:
    """Asks the probes of one run. `stop` ends all threads, and waits for what is under way."""

    def __init__(self, scenario: Scenario, ask: Ask, append: Callable[[Event], Event], clock: Clock) -> None:
        self._scenario = scenario
        self._ask = ask
        self._append = append
        self._clock = clock
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, phases: Sequence[Planned]) -> Self:
        """Every probe waits for its time."""
        for turn in turns(self._scenario, phases):
            thread = threading.Thread(target=self._play, args=(turn,), name=f"probe {turn.probe.id}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def finish(self, early: bool = False) -> None:
        """The faults are healed: what is asked afterwards is asked now, unless the run ended early."""
        for probe in self._scenario.probes:
            if probe.mode == "after" and not early:
                self._until_yes(probe)
        self.stop()

    def stop(self) -> None:
        """Idempotent."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=JOIN_S)
        self._threads.clear()

    def _play(self, turn: Turn) -> None:
        if self._wait_until(turn.start_ns):
            return
        if turn.probe.once:
            self._until_yes(turn.probe)
            return
        n = 0
        step_ns = round(turn.probe.every * NS_PER_S)
        while (due_ns := turn.start_ns + n * step_ns) < turn.end_ns:
            if self._wait_until(due_ns):
                return
            self._once(turn.probe)
            # A slow answer does not make the next questions come in a burst: those that were due meanwhile are left out.
            n = max(n + 1, -(-(self._clock.now_ns() - turn.start_ns) // step_ns))

    def _until_yes(self, probe: Probe) -> None:
        for n in range(probe.retries + 1):
            if n and self._wait_until(self._clock.now_ns() + round(probe.every * NS_PER_S)):
                return
            if self._once(probe).ok:
                return

    def _once(self, probe: Probe) -> Answer:
        begun_ns = self._clock.now_ns()
        try:
            answer = self._ask(probe)
        except Exception as error:  # noqa: BLE001  # a thread that ended silently would look like a probe that was never asked
            answer = Answer(None, f"{type(error).__name__}: {error}")
        took_s = (self._clock.now_ns() - begun_ns) / NS_PER_S
        if answer.ok and took_s > probe.timeout:
            answer = Answer(False, f"{answer.detail}, after {took_s:.2f}s", answer.value)
        data = {"id": probe.id, "ok": answer.ok, "took_s": round(took_s, 4), "value": answer.value, "detail": answer.detail}
        self._append(Event(begun_ns, PROBE, "telemetry", data))
        return answer

    def _wait_until(self, t_ns: int) -> bool:
        """True when the run ended meanwhile."""
        while not self._ended.is_set() and (left_ns := t_ns - self._clock.now_ns()) > 0:
            self._ended.wait(left_ns / NS_PER_S)
        return self._ended.is_set()
