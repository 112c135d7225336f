"""From a run directory to a verdict and its reports. Works from disk alone, on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from harness.gate import Verdict, decide
from harness.record import store, watched
from harness.record.baseline import baseline as find_baseline
from harness.record.history import History
from harness.record.progress import UNTOLD, Progress
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


def judge_run(path: Path, *, strict: bool = False, baseline: Path | None = None, progress: Progress = UNTOLD) -> Judged:
    """Judge a run from its record, against a baseline run if the scenario asks for one (default: that of the run).

    Raises RecordError (no record there) or ScenarioError (its scenario is damaged). `progress` changes nothing of the verdict.
    """
    directory = store.RunDirectory(path.resolve())
    history = store.read(directory.path, progress=progress)
    history = replace(history, baseline=find_baseline(history.run, baseline))
    loaded = recorded(directory, history.run)
    scenario = loaded.scenario
    (history,) = watched.begin("judging", partial(judge, scenario=scenario), progress, history)
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


def write_reports(judged: Judged, progress: Progress = UNTOLD) -> None:
    """Write verdict.json, junit.xml, verdict.sarif and report.html into the run directory; what was there is replaced."""
    (history,) = watched.begin("writing the reports", lambda few: list(_reports(judged, few)), progress, judged.history)
    for name, content in _reports(judged, history):
        (judged.directory.path / name).write_bytes(content)


def _reports(judged: Judged, history: History) -> Iterator[tuple[str, bytes]]:
    """The name of each file, and what is in it."""
    told = (judged.verdict, history, judged.scenario)
    yield "verdict.json", verdict_json.render(*told)
    yield "junit.xml", junit.render(*told)
    yield "verdict.sarif", sarif.of_verdict(*told, judged.positions)
    yield "report.html", html.render(*told).encode()


def check_names(scenario: Scenario) -> tuple[str, ...]:
    """What the verdict on a run of the scenario is made of: known before there is one, by judging a record of nothing.

    What only a run raises (was the load delivered in a phase that there was, is a fault gone that was injected) is not among them.
    """
    return tuple(dict.fromkeys(result.name for result in judge(History(), scenario)))
