"""One line of a table of runs: what a benchmark keeps of one run, and how it is read from the run's record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.judging import recorded_scenario
from harness.record import events as ev
from harness.record import store
from harness.record.clock import NS_PER_S
from harness.record.history import History
from harness.score.detection import detect
from harness.score.outcome import outcome


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What became of one fault. Seconds count from the onset; None where it did not happen."""

    id: str
    type: str
    alert_s: float | None
    diagnosis: str
    action: str
    outcome: str
    regained_s: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a run went, in seconds; None where the record does not say."""

    wall_s: float  # of the whole command, interpreter start and judging included
    phases_s: float | None  # as the scenario wrote them, as far as they were played
    start_s: float | None  # from the first event to the first arrival
    stop_s: float | None  # from the end of the last phase to the last event

    @property
    def overhead_s(self) -> float | None:
        """All that is not the scenario's own time."""
        return None if self.phases_s is None else self.wall_s - self.phases_s


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one scenario with one seed."""

    scenario: str
    seed: int
    verdict: str | None  # None: no verdict, the stack did not start or the program failed
    exit_code: int
    reason: str
    not_passed: tuple[str, ...]  # "name STATUS reason"
    as_expected: bool  # every `expect` check passed, and there was one
    faults: tuple[FaultRow, ...]
    false_alarms: int
    actions: tuple[str, ...]
    spent: Spent
    run_dir: str | None = None
    git_sha: str | None = None

    def to_json(self) -> dict[str, Any]:
        """One JSON line; `overhead_s` is written out for those who read it without this program."""
        return asdict(self) | {"overhead_s": self.spent.overhead_s}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Row:
        """The inverse of `to_json`."""
        data = {k: v for k, v in document.items() if k != "overhead_s"}
        return cls(
            **data
            | {
                "faults": tuple(FaultRow(**f) for f in data["faults"]),
                "not_passed": tuple(data["not_passed"]),
                "actions": tuple(data["actions"]),
                "spent": Spent(**data["spent"]),
            }
        )


def read_rows(path: Path) -> list[Row]:
    """The rows of a file that was appended to line by line; a torn last line is no row."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(Row.from_json(json.loads(line)))
        except json.JSONDecodeError:
            continue
    return rows


def row(scenario: str, seed: int, exit_code: int, wall_s: float, document: Mapping[str, Any], stderr: str) -> Row:
    """The row of one run from what `gauntlet run --json` printed; `document` is empty where it printed nothing."""
    if not document.get("run_dir"):
        reason = str(document.get("reason") or stderr.strip()[-400:] or "no output")
        return Row(scenario, seed, None, exit_code, reason, (), False, (), 0, (), Spent(wall_s, None, None, None))
    directory = store.RunDirectory(Path(document["run_dir"]))
    history = store.read(directory.path)
    expected = [c for c in document["checks"] if c["group"] == "expect"]
    return Row(
        scenario=scenario,
        seed=seed,
        verdict=document["verdict"],
        exit_code=exit_code,
        reason=document["reason"],
        not_passed=tuple(f"{c['name']} {c['status']} {c['reason']}" for c in document["checks"] if c["status"] != "PASS"),
        as_expected=bool(expected) and all(c["status"] == "PASS" for c in expected),
        faults=_faults(history, directory, document),
        false_alarms=len(detect(history).false_alarms),
        actions=tuple(f"{a.verb} {a.instance or a.service} {a.status}" for a in history.actions),
        spent=spent(history, wall_s),
        run_dir=document["run_dir"],
        git_sha=document["run"]["git_sha"],
    )


def spent(history: History, wall_s: float) -> Spent:
    """Where the time went."""
    phases = history.phases
    begun = next((int(e.data["t0_ns"]) for e in history.of_kind(ev.LOAD) if e.data.get("state") == "begun"), None)
    if not phases or begun is None or phases[-1].end_ns is None:
        return Spent(wall_s, None, None, None)
    return Spent(
        wall_s=round(wall_s, 3),
        phases_s=round((min(phases[-1].end_ns, phases[-1].planned_end_ns) - begun) / NS_PER_S, 3),
        start_s=round((begun - history.events[0].t_ns) / NS_PER_S, 3),
        stop_s=round((history.end_ns - phases[-1].end_ns) / NS_PER_S, 3),
    )


def _faults(history: History, directory: store.RunDirectory, document: Mapping[str, Any]) -> tuple[FaultRow, ...]:
    scenario, score = recorded_scenario(directory, history.run), detect(history)
    stories = {s["fault_id"]: s for s in document["faults"]}
    found = []
    for fault in history.faults:
        story, detection = stories[fault.id], score.of(fault.id)
        found.append(
            FaultRow(
                id=fault.id,
                type=fault.type,
                alert_s=detection.delay_s if detection else None,
                diagnosis=story["diagnosis"],
                action=story["action"],
                outcome=story["outcome"],
                regained_s=outcome(history, scenario, fault).regained_s,
            )
        )
    return tuple(found)
