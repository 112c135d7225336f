"""What a run is compared with, settled before it starts: what is stored meanwhile changes nothing, and what is unfit is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.baselines import Shelf, shelf
from harness.comparing import read_arm
from harness.lifecycle import host
from harness.record.baseline import pin, pinned
from harness.record.history import History
from harness.record.store import RecordError
from harness.scenario.model import Scenario
from harness.score import comparable
from harness.score.preconditions import Preconditions
from harness.score.versions import Arm, unfit

STORED = "stored"
NONE_THERE = "no baseline of this scenario on this machine"


@dataclass(frozen=True, slots=True)
class Settled:
    """The run to compare with, and the first one of all; or why there is none."""

    current: Path | None
    anchor: Path | None = None
    reason: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """For the record: the runs by path and digest, or why there is none. Raises RecordError when one is not there."""
        if self.current is None:
            return {"path": None, "reason": self.reason}
        return {**pin(self.current), "anchor": pin(self.anchor) if self.anchor is not None else None}

    @property
    def paths(self) -> Iterator[Path]:
        """Each of them once."""
        if self.current is not None:
            yield self.current
        if self.anchor is not None and self.anchor != self.current:
            yield self.anchor


def settle(scenario: Scenario, given: Path, baselines: Path) -> Settled:
    """For a run of this scenario, here and now. `given` is a run, or `stored`.

    Raises RecordError for a run that is not there, cannot be read, or could be compared with no run of this scenario on this machine.
    """
    planned = History(run={"host": host.facts(), "scenario": {"name": scenario.name}})
    found = of_shelf(shelf(baselines, planned), baselines) if str(given) == STORED else Settled(given.resolve())
    for path in found.paths:
        if reasons := "; ".join(_against(read_arm(path), planned, scenario)):
            raise RecordError(f"{path}: no baseline for {scenario.name}: {reasons}; {_instead(found, path)}")
    return found


def settled_then(run: Mapping[str, Any]) -> Settled | None:
    """What a recorded run was compared with, by its own word; None where that was nothing. What is gone or changed is the reason."""
    told = run.get("baseline")
    if not isinstance(told, Mapping):
        return None
    try:
        current, anchor = pinned(told), pinned(told.get("anchor"))
    except RecordError as error:
        return Settled(None, reason=str(error))
    return Settled(current, anchor, "" if current is not None else str(told.get("reason")))


def of_shelf(kept: Shelf, baselines: Path) -> Settled:
    """The current one of a shelf, and its anchor."""
    if kept.current is None:
        return Settled(None, reason=f"{baselines}: {NONE_THERE} ({kept.path.name}); set one: gauntlet baseline set RUN")
    return Settled(kept.current.resolve(), kept.anchor.resolve() if kept.anchor is not None else None)


def _against(base: Arm, planned: History, scenario: Scenario) -> Iterator[str]:
    """What already stands in the way of a comparison, or of limits relative to that run."""
    yield from comparable.obstacles((base.history, base.scenario), (planned, scenario))
    if comparable.serves_two(base.scenario):
        return
    before = Preconditions(base.history, scenario)
    lacking = [unfit(base.history, base.scenario), *(before.phase(phase) for phase in scenario.baseline_phases)]
    yield from dict.fromkeys(reason for reason in lacking if reason is not None)


def _instead(found: Settled, path: Path) -> str:
    if found.anchor is None:
        return "name another run, or none"
    again = "run without --baseline, then: gauntlet baseline set RUN"
    return f"{again} --anchor" if path == found.anchor else again
