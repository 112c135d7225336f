"""From a run directory to a verdict and its reports. Works from disk alone, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from harness.gate import Verdict, decide
from harness.record import store
from harness.record.baseline import baseline as find_baseline
from harness.record.history import History
from harness.report import html, junit, sarif, verdict_json
from harness.scenario.loader import Loaded, load_text
from harness.scenario.model import Scenario
from harness.scenario.problem import Positions
from harness.score.judge import judge


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what it was drawn from. `positions` are those of the kept file of the scenario."""

    directory: store.RunDirectory
    history: History
    scenario: Scenario
    verdict: Verdict
    positions: Positions


def judge_run(path: Path, *, strict: bool = False, baseline: Path | None = None) -> Judged:
    """Judge a run from its record, against a baseline run if the scenario asks for one (default: that of the run).

    Raises RecordError (no record there) or ScenarioError (its scenario is damaged).
    """
    directory = store.RunDirectory(path.resolve())
    history = store.read(directory.path)
    history = replace(history, baseline=find_baseline(history.run, baseline))
    loaded = recorded(directory, history.run)
    scenario = loaded.scenario
    return Judged(directory, history, scenario, decide(judge(history, scenario), scenario, strict=strict), loaded.positions)


def recorded_scenario(directory: store.RunDirectory, run: Mapping[str, object]) -> Scenario:
    """The scenario as it was run. Raises RecordError."""
    return recorded(directory, run).scenario


def recorded(directory: store.RunDirectory, run: Mapping[str, object]) -> Loaded:
    """The scenario as it was run: the kept file, with the seed of the run.

    Raises RecordError when it is not the text that was run: with a line less it may ask for less, and the run would pass.
    """
    if not directory.scenario_file.is_file():
        raise store.RecordError(f"{directory.path}: no scenario.yaml; the record is incomplete")
    text = directory.scenario_file.read_bytes()
    if run.get("scenario_file_sha256") != sha256(text).hexdigest():
        raise store.RecordError(f"{directory.scenario_file}: not the scenario that was run; it was changed, or cut, afterwards")
    loaded = load_text(text.decode("utf-8"), str(directory.scenario_file))
    seed = run.get("seed", loaded.scenario.seed)
    if type(seed) is not int:
        raise store.RecordError(f"{directory.run_file}: the seed of the run is no number")
    return replace(loaded, scenario=loaded.scenario.model_copy(update={"seed": seed}))


def write_reports(judged: Judged) -> None:
    """Write verdict.json, junit.xml, verdict.sarif and report.html into the run directory; what was there is replaced."""
    directory = judged.directory
    directory.verdict.write_bytes(verdict_json.render(judged.verdict, judged.history, judged.scenario))
    (directory.path / "junit.xml").write_bytes(junit.render(judged.verdict, judged.history, judged.scenario))
    told = sarif.of_verdict(judged.verdict, judged.history, judged.scenario, judged.positions)
    (directory.path / "verdict.sarif").write_bytes(told)
    (directory.path / "report.html").write_text(html.render(judged.verdict, judged.history, judged.scenario), encoding="utf-8")


def check_names(scenario: Scenario) -> tuple[str, ...]:
    """What the verdict on a run of the scenario is made of: known before there is one, by judging a record of nothing.

    What only a run raises (was the load delivered in a phase that there was, is a fault gone that was injected) is not among them.
    """
    return tuple(dict.fromkeys(result.name for result in judge(History(), scenario)))
