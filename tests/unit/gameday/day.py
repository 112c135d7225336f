"""A desk with an open record, and a scenario whose words nobody else would use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.gameday.asks import ASK
from harness.gameday.desk import Desk
from harness.lifecycle.gameday import refusal
from harness.record.clock import SystemClock
from harness.record.events import GAMEDAY, LOAD, Event
from harness.record.journal import Journal, read_journal
from harness.record.store import RunDirectory
from harness.report.state import LiveState
from harness.scenario.loader import load_text
from harness.scenario.model import FaultUse
from harness.stack.catalog import info_for

TEXT = """
name: quiet-thunder
hypothesis: People find it
load: {shape: [{constant: 20/s}]}
stack: {use: reference, replicas: {retrieval: 2}}
phases: {steady_state: 40s, fault: 60s}
faults:
  - {id: molasses, type: llm.slow_first_token, target: llm, at: fault, for: 20s, with: {ttft: 4s}}
  - {id: avalanche, type: process.kill, target: retrieval, at: fault+25s, for: 20s}
objectives: {fault: {availability: ">= 90%"}}
"""
TRUTH = ("quiet-thunder", "People find it", "molasses", "avalanche", "slow_first_token", "process.kill", "ttft", "steady_state")
LOADED = load_text(TEXT)
INFO = info_for(LOADED.scenario.stack)


class Day:
    """A desk with an open record, before the first injection."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder)
        self.journal = Journal(self.directory.events)
        self.stops: list[bool] = []
        self.desk = Desk(LOADED.scenario, SystemClock(), lambda use: refusal(LOADED, INFO, use), lambda: self.stops.append(True))
        self.desk.attend(self.directory, self.journal.append)
        self.journal.append(Event(SystemClock().now_ns(), LOAD, "truth", {"state": "begun", "t0_ns": SystemClock().now_ns()}))
        self.desk.observe(LiveState("quiet-thunder", "steady_state", run_elapsed_s=3.0, run_length_s=100.0, note="quiet-thunder"))

    def take(self, role: Any, **ask: Any) -> None:
        self.desk.take(role, ASK.validate_python(ask))

    def told(self) -> list[tuple[Any, ...]]:
        return [(e.source, e.data["by"], e.data["do"]) for e in read_journal(self.directory.events) if e.kind == GAMEDAY]

    def use(self, fault_id: str) -> FaultUse:
        return self.desk.use(fault_id)
