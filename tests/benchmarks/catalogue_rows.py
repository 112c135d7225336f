"""What a sweep through the catalogue keeps of each run and each fault, drawn from the run's record by the product's own scorers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from harness.faults.registry import CATALOG
from harness.judging import recorded_scenario
from harness.record import store
from harness.record.history import History
from harness.record.views import FaultTruth
from harness.scenario.model import Scenario
from harness.score.detection import DetectionScore, detect
from harness.score.diagnosis import diagnose
from harness.score.outcome import outcome
from harness.score.recovery import actions_for, escalations_for, judge_actions

GOOD = ("absorbed", "recovered")
HEAD = ("family", "n", "recall", "MTTD median", "AC@1", "AC@3", "kind", "recovered or absorbed", "no-recovery arm")


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One fault of one run. `effective`: its evidence was seen; all else is of those only."""

    arm: str
    seed: int
    fault: str
    effective: bool
    benign: bool
    recoverable: bool
    delay_s: float | None
    alert: str
    ac_1: float
    ac_3: float
    kind_right: bool
    causes: tuple[str, ...]
    actions: tuple[str, ...]
    escalated: bool
    outcome: str | None
    reason: str

    @property
    def family(self) -> str:
        return self.fault.partition(".")[0]


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run: what belongs to no single fault."""

    arm: str
    seed: int
    exit_code: int
    run_dir: str | None
    episodes: int
    false_alarms: tuple[str, ...]
    fault_free_s: float
    actions: int
    needless: tuple[str, ...]
    wrong: tuple[str, ...]
    harmful: tuple[str, ...]


def lines_of(run_dir: Path, arm: str, seed: int, exit_code: int) -> tuple[RunLine, list[FaultLine]]:
    """Of one record."""
    directory = store.RunDirectory(run_dir)
    history = store.read(directory.path)
    scenario, found, acts = recorded_scenario(directory, history.run), detect(history), judge_actions(history)
    run = RunLine(
        arm=arm,
        seed=seed,
        exit_code=exit_code,
        run_dir=str(run_dir),
        episodes=found.episodes,
        false_alarms=tuple(f"{e.name} {e.service}" for e in found.false_alarms),
        fault_free_s=found.fault_free_s,
        actions=len(history.actions),
        **{name: tuple(f"{a.verb} {a.instance or a.service}" for a in getattr(acts, name)) for name in ("needless", "wrong", "harmful")},
    )
    return run, [_line(history, scenario, found, fault, arm, seed) for fault in history.faults]


def _line(history: History, scenario: Scenario, found: DetectionScore, fault: FaultTruth, arm: str, seed: int) -> FaultLine:
    detection, diagnosis = found.of(fault.id), diagnose(history, fault)
    ended = outcome(history, scenario, fault)
    episode = detection.episode if detection else None
    return FaultLine(
        arm=arm,
        seed=seed,
        fault=fault.type,
        effective=fault.onset_ns is not None,
        benign=CATALOG[fault.type].benign,
        recoverable=bool(fault.recoverable_by),
        delay_s=detection.delay_s if detection else None,
        alert=f"{episode.name} {episode.service}" if episode else "",
        ac_1=diagnosis.ac_1 if diagnosis else 0.0,
        ac_3=diagnosis.ac_3 if diagnosis else 0.0,
        kind_right=diagnosis.kind_right if diagnosis else False,
        causes=tuple(f"{c.service} {c.kind} {c.confidence:.2f}" for c in diagnosis.causes) if diagnosis else (),
        actions=tuple(f"{a.verb} {a.instance or a.service} {a.status}" for a in actions_for(history, fault)),
        escalated=bool(escalations_for(history, fault)),
        outcome=ended.word,
        reason=ended.reason if fault.onset_ns is not None else fault.failure or "no evidence",
    )


def write(path: Path, lines: Iterable[RunLine | FaultLine]) -> None:
    """Append; a line a row."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"row": type(line).__name__, **asdict(line)}) + "\n" for line in lines)


def read(path: Path) -> tuple[list[RunLine], list[FaultLine]]:
    """A torn last line is no row."""
    runs, faults = [], []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
        except ValueError:
            continue
        if row.pop("row") == "RunLine":
            runs.append(RunLine(**row))
        else:
            faults.append(FaultLine(**row))
    return runs, faults


def table(runs: Sequence[RunLine], faults: Sequence[FaultLine]) -> str:
    """Markdown: a line a family and one for all, then what was missed and why."""
    live = [f for f in faults if f.arm == "live" and f.effective and not f.benign]
    control = [f for f in faults if f.arm == "no-recovery" and f.effective and f.recoverable and not f.benign]
    out = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    out += [
        _row(family, [f for f in live if f.family == family], [f for f in control if f.family == family])
        for family in sorted({f.family for f in live})
    ]
    out.append(_row("all", live, control))
    of = [r for r in runs if r.arm == "live"]
    episodes, false = sum(r.episodes for r in of), sum(len(r.false_alarms) for r in of)
    actions, needless = sum(r.actions for r in of), sum(len(r.needless) for r in of)
    free_h = sum(r.fault_free_s for r in of) / 3600
    acts = f"needless actions {_share(needless, actions)}, wrong {sum(len(r.wrong) for r in of)}, harmful {sum(len(r.harmful) for r in of)}"
    out += [
        "",
        f"precision {_share(episodes - false, episodes)}; {false} false alarms in {free_h:.2f} h without a fault; {acts}",
        f"not effective: {', '.join(sorted({f.fault for f in faults if not f.effective})) or 'none'}",
        *(f"- missed {f.fault} (seed {f.seed})" for f in live if f.delay_s is None),
        *(f"- {f.fault} (seed {f.seed}): {'; '.join(f.causes) or 'nothing'}" for f in live if f.ac_1 < 1 or not f.kind_right),
        *(
            f"- {f.fault} (seed {f.seed}) {f.outcome}: {', '.join(f.actions) or 'no action'}; {f.reason}"
            for f in live
            if f.recoverable and f.outcome not in GOOD
        ),
        *(f"- false alarm {text} in {r.run_dir}" for r in of for text in r.false_alarms),
        *(f"- needless {text} in {r.run_dir}" for r in of for text in r.needless),
    ]
    return "\n".join(out)


def _row(name: str, live: Sequence[FaultLine], control: Sequence[FaultLine]) -> str:
    delays = [f.delay_s for f in live if f.delay_s is not None]
    healable = [f for f in live if f.recoverable and f.outcome is not None]
    known = [f for f in control if f.outcome is not None]
    cells = (
        name,
        str(len(live)),
        _share(len(delays), len(live)),
        f"{median(delays):.1f} s" if delays else "-",
        _share(sum(f.ac_1 for f in live), len(live)),
        _share(sum(f.ac_3 for f in live), len(live)),
        _share(sum(f.kind_right for f in live), len(live)),
        _share(sum(f.outcome in GOOD for f in healable), len(healable)),
        _share(sum(f.outcome in GOOD for f in known), len(known)),
    )
    return "| " + " | ".join(cells) + " |"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.2f} ({part:g}/{whole:g})" if whole else "-"
