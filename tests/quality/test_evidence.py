"""A verdict never becomes PASS because evidence is missing, and no record makes the judge or a report raise.

Runs that pass, fail and prove nothing are written to disk as a run would, and then lose events, lines, fields, requests and files.
"""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

from harness.gate import decide
from harness.judging import judge_run, write_reports
from harness.record import events as ev
from harness.record.baseline import pin
from harness.record.events import Event
from harness.record.frames import FrameWriter
from harness.record.history import History
from harness.record.store import RecordError, RunDirectory, write_run_file
from harness.report import terminal
from harness.scenario.loader import load_text
from harness.scenario.problem import ScenarioError
from harness.score.check import Status
from harness.score.judge import judge
from tests.history_builder import history, questions, together, traffic
from tests.record_on_disk import save
from tests.two_versions import HOST

TEXT = """\
name: evidence
load: {shape: [{constant: 25/s}], mix: {ask: 1}}
phases: {steady_state: 30s, fault: 40s, recovery: 30s}
faults: [{id: f, type: test.fault, target: TARGET, at: fault, for: 40s}]
expect:
  - {fault: f, alert: "<= 10s", root_cause: {service: SERVICE, kind: KIND}, action: VERB, outcome: OUTCOME}
  - {false_alarms: 0, needless_actions: 0}
objectives:
  steady_state: {availability: ">= 99%", latency_p95: "<= 800ms"}
  fault: {availability: ">= 97%"}
  recovery: {availability: ">= 99%", latency_p95: "<= +25% of steady_state"}
"""


def text(**words: str) -> str:
    found = TEXT
    for word, value in words.items():
        found = found.replace(word, value)
    return found


BROWNOUT = text(TARGET="llm", SERVICE="llm", KIND="latency", VERB="switch_provider", OUTCOME="recovered")
KILLED = text(TARGET="retrieval-2", SERVICE="retrieval", KIND="crash", VERB="restart", OUTCOME="absorbed")
NULL = """\
name: evidence-null
load: {shape: [{constant: 25/s}], mix: {ask: 1}}
phases: {warmup: 10s, steady_state: 50s}
expect: [{false_alarms: 0, needless_actions: 0}]
objectives: {steady_state: {availability: ">= 99%", latency_p95: "<= 800ms"}}
"""
ASKING = """\
name: evidence-asking
load: {shape: [{constant: 25/s}], mix: {ask: 1}}
phases: {steady_state: 30s, fault: 40s, recovery: 30s}
time_scale: 360
faults: [{id: f, type: process.kill, target: retrieval-2, at: fault, for: 40s}]
expect: [{false_alarms: 0}]
objectives:
  steady_state: {availability: ">= 99%", availability over 10s: {pass: ">= 98%", warn: ">= 90%"}}
  recovery: {availability of route ask: ">= 99%", latency_p95: "<= 50ms or <= +25% of steady_state"}
burn_rates:
  - {id: quiet, objective: {availability: ">= 99%"}, long: 1h, factor: 14.4, min_events: 1}
probes:
  - {id: before, mode: before, http: {service: gateway}}
  - {id: served, mode: on_fault, fault: f, every: 5s, http: {service: gateway}}
reliability: {system: retrieval, components: {retrieval: {mtbf: 1h, mttr: 30s}}, target: ">= 99%", shortfall: "<= 2%"}
"""
PHASES = ("0s steady_state", "30s fault", "70s recovery")
SLOW = together(traffic(0, 30), traffic(30, 38, latency_s=4.0), traffic(38, 100))
UP = ("0.1s ready retrieval-1", "0.1s ready retrieval-2")
BROWNOUT_TOLD = (
    *PHASES, *UP, "30s fault latency@llm fix=switch_provider blast=generation", "33s alert llm", "33s diagnosis llm/latency:0.9",
    "33.5s action switch_provider generation for=4", "60s resolved llm", "70s heal", "100s end",
)  # fmt: skip
KILLED_TOLD = (
    *PHASES, *UP, "30s fault crash@retrieval-2 fix=restart", "31s down retrieval-2", "33s alert retrieval",
    "33s diagnosis retrieval/crash:0.9", "34s action restart retrieval-2", "36s ready retrieval-2",
    "60s resolved retrieval", "70s heal", "100s end",
)  # fmt: skip
ASKING_TOLD = (
    *PHASES, *UP, "29s answer before yes", "30s fault crash@retrieval-2 fix=restart", "31s down retrieval-2", "36s ready retrieval-2",
    *(f"{second}s answer served yes" for second in range(30, 70, 5)), "70s heal", "100s end",
)  # fmt: skip
NULL_TOLD = ("0s warmup", "10s steady_state", "60s end")


@dataclass(frozen=True)
class Run:
    """What is on disk."""

    scenario: str
    told: History

    def status(self, told: History | None = None) -> Status:
        asked = load_text(self.scenario).scenario
        return decide(judge(told or self.told, asked), asked).status

    def without(self, leave_out: Callable[[Event], bool]) -> History:
        return replace(self.told, events=tuple(e for e in self.told.events if not leave_out(e)))

    def save(self, directory: Path) -> None:
        save(directory, self.scenario, self.told)


def run(scenario: str, *lines: str, requests: NDArray[Any] = SLOW, **fields: Any) -> Run:
    truth = {"questions": questions(1), "documents": 1}
    return Run(scenario, history(*lines, requests=requests, journeys=("ask",), **truth, **fields))


PASSING = {
    "brownout": run(BROWNOUT, *BROWNOUT_TOLD),
    "killed": run(KILLED, *KILLED_TOLD, requests=traffic(0, 100)),
    "asking": run(ASKING, *ASKING_TOLD, requests=traffic(0, 100)),
    "null": run(NULL, *NULL_TOLD, requests=traffic(0, 60)),
}
OTHERS = {
    "false alarm": run(BROWNOUT, *BROWNOUT_TOLD, "10s alert user"),
    "objective broken": run(NULL, *NULL_TOLD, requests=traffic(0, 60, latency_s=1.0)),
    "needless action": run(NULL, *NULL_TOLD, "20s action restart user", requests=traffic(0, 60)),
    "not effective": run(
        BROWNOUT, *PHASES, "30s intended latency@llm", "30s injected", "35s not_effective", "70s heal", "100s end", requests=traffic(0, 100)
    ),
    "aborted": run(NULL, *NULL_TOLD, "50s abort availability", requests=traffic(0, 60)),
}
RUNS = {**PASSING, **OTHERS}

# What a record may lack, and why the verdict stands without it.
MAY_LACK = {
    (ev.STACK, "starting"): "that the stack was stopped is what counts",
    (ev.STACK, "ready"): "asked for where an outcome depends on instances",
    (ev.INSTANCE, "ready"): "asked for where an outcome depends on instances",
    (ev.LOAD, "started"): "requests, their count and the generator's health say more",
    (ev.ALERT, "resolved"): "an alert that never ends is still one episode",
}


def group(event: Event) -> tuple[str, str]:
    return event.kind, str(event.data.get("state") or event.data.get("step") or event.data.get("status") or "")


def groups(told: History) -> list[tuple[str, str]]:
    return sorted({group(e) for e in told.events})


@pytest.mark.parametrize("name", RUNS)
def test_the_runs_are_what_they_are_called(name: str) -> None:
    assert (RUNS[name].status() is Status.PASS) is (name in PASSING)


@pytest.mark.parametrize(("name", "left_out"), [(n, g) for n, r in PASSING.items() for g in groups(r.told)], ids=str)
def test_no_kind_of_evidence_may_be_missing(name: str, left_out: tuple[str, str]) -> None:
    status = PASSING[name].status(PASSING[name].without(lambda e: group(e) == left_out))
    assert status is not Status.PASS or left_out in MAY_LACK, f"passes without {left_out}"


@pytest.mark.parametrize("left_out", [(ev.STACK, "ready"), (ev.INSTANCE, "ready"), (ev.INSTANCE, "down")])
def test_absorbed_needs_the_readiness_of_instances(left_out: tuple[str, str]) -> None:
    told = PASSING["killed"].without(lambda e: group(e) == left_out)
    assert PASSING["killed"].status(told) is not Status.PASS


def test_half_of_the_generators_health_is_too_little() -> None:
    def kept(event: Event) -> bool:
        return group(event) != (ev.LOAD, "health") or event.t_ns % 3_000_000_000 < 1_000_000_000

    assert PASSING["null"].status(PASSING["null"].without(lambda e: not kept(e))) is Status.INCONCLUSIVE


def _dropped(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    return np.delete(rows, rng.sample(range(len(rows)), rng.randint(1, len(rows))))


def _zeroed(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    rows = rows.copy()
    rows[rng.sample(range(len(rows)), rng.randint(1, len(rows)))] = np.zeros(1, dtype=rows.dtype)
    return rows


def _twice(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    return np.concatenate([rows, rows[rng.sample(range(len(rows)), rng.randint(1, len(rows)))]])


def _never_ended(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    rows = rows.copy()
    rows["end_ns"][rng.sample(range(len(rows)), rng.randint(1, len(rows)))] = 0
    return rows


def _shifted(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    """Another clock than that of the events, by more than a tenth of a phase."""
    rows = rows.copy()
    by_ns = rng.choice([-1, 1]) * rng.randint(10, 10_000) * 1_000_000_000
    for name in ("intended_ns", "start_ns", "first_ns", "last_ns", "end_ns"):
        rows[name] += by_ns
    return rows


def _mixed_up(rows: NDArray[Any], rng: Random) -> NDArray[Any]:
    """The times of one column belong to other requests."""
    rows = rows.copy()
    name = rng.choice(["intended_ns", "start_ns", "end_ns"])
    rows[name] = np.roll(rows[name], rng.randint(len(rows) // 4, len(rows) // 2))
    return rows


SPOILED = (_dropped, _zeroed, _twice, _never_ended, _shifted, _mixed_up)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RUNS)), st.sampled_from(SPOILED), st.randoms(use_true_random=False))
def test_spoiled_requests_never_pass(name: str, spoil: Callable[[NDArray[Any], Random], NDArray[Any]], rng: Random) -> None:
    told = replace(RUNS[name].told, requests=spoil(RUNS[name].told.requests.rows(), rng))
    assert RUNS[name].status(told) is not Status.PASS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all examples: each begins by writing it anew."""
    return tmp_path_factory.mktemp("records") / "run"


def judged(place: Path) -> Status | None:
    """The verdict, with all reports rendered; None where the record is refused with a message."""
    try:
        found = judge_run(place)
    except (RecordError, ScenarioError):
        return None
    write_reports(found)
    terminal.show(found.verdict, found.history, found.scenario, place, Console(file=io.StringIO(), width=100))
    json.loads((place / "verdict.json").read_text(), parse_constant=pytest.fail)
    return found.verdict.status


@pytest.mark.parametrize("name", RUNS)
def test_on_disk_they_are_judged_alike(name: str, place: Path) -> None:
    RUNS[name].save(place)
    assert judged(place) is RUNS[name].status()


FILES = ("run.json", "scenario.yaml", "events.jsonl", "events-load.jsonl", "events-watchdog.jsonl", "requests/load.seg")


@pytest.mark.parametrize("how", ["gone", "empty", "half"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", RUNS)
def test_no_file_may_be_missing_or_cut(name: str, file: str, how: str, place: Path) -> None:
    RUNS[name].save(place)
    path = place / file
    whole = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(whole[: len(whole) // 2 if how == "half" else 0])
    assert judged(place) is not Status.PASS


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(sorted(RUNS)), rng=st.randoms(use_true_random=False))
def test_lines_that_are_lost_never_pass(name: str, rng: Random, place: Path) -> None:
    """Not even the lines of a false alarm: the last event says how many there were."""
    RUNS[name].save(place)
    path = place / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lost = set(rng.sample(range(1, len(lines)), rng.randint(1, 5)))  # line 0 is the schema's
    path.write_bytes(b"".join(line for n, line in enumerate(lines) if n not in lost))
    assert judged(place) is not Status.PASS


def test_a_segment_without_a_column_is_damaged(place: Path) -> None:
    """A column that is not there would be read as zero, and an outcome of zero is `ok`."""
    PASSING["null"].save(place)
    rows = PASSING["null"].told.requests.rows()
    fields = [name for name in rows.dtype.names or () if name != "outcome"]
    (place / "requests" / "load.seg").unlink()
    packed = np.empty(len(rows), dtype=[(name, rows.dtype[name]) for name in fields])
    for name in fields:
        packed[name] = rows[name]
    segment = FrameWriter(place / "requests" / "load.seg", packed.dtype, {"journeys": list(PASSING["null"].told.journeys)})
    segment.append(packed)
    segment.close()
    assert judged(place) is Status.INCONCLUSIVE


JUNK: tuple[Any, ...] = (None, "x", math.nan, math.inf, 1e300, -1, 0, 10**30, [], {}, True, "2", [[]], {"a": 1})


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*at, key)
        yield from _places(part, (*at, key))


def _spoil(document: Any, rng: Random) -> Any:
    """Take one value away, or put junk in its place."""
    *path, last = rng.choice(list(_places(document)))
    within = document
    for key in path:
        within = within[key]
    if rng.random() < 0.4:
        del within[last]
    else:
        within[last] = rng.choice(JUNK)
    return document


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(RUNS)), file=st.sampled_from(["events", "events-load", "events-watchdog"]), rng=st.randoms())
def test_no_event_makes_the_judge_or_a_report_raise(name: str, file: str, rng: Random, place: Path) -> None:
    RUNS[name].save(place)
    path = place / f"{file}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by_kind = {line.get("kind"): n for n, line in enumerate(lines)}
    chosen = rng.choice([*by_kind.values(), rng.randrange(len(lines))])
    lines[chosen] = _spoil(lines[chosen], rng)
    lines.insert(rng.randrange(len(lines)), {"t_ns": 5, "kind": "novel", "source": "truth"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged(place)


@settings(max_examples=25, deadline=None)
@given(file=st.sampled_from(["run.json", "questions.json"]), rng=st.randoms())
def test_no_fact_makes_the_judge_or_a_report_raise(file: str, rng: Random, place: Path) -> None:
    PASSING["brownout"].save(place)
    path = place / file
    path.write_text(json.dumps(_spoil(json.loads(path.read_text()), rng)))
    judged(place)


def test_a_baseline_is_read_where_it_was_pinned(tmp_path: Path) -> None:
    """Without it nothing is known; with it the same is a pass, and twice the latency a failure."""
    text = NULL.replace('"<= 800ms"', '"<= +10%"')
    here = {"host": HOST}
    took = [lambda i, least_s=s: least_s + 0.001 * (i * 37 % 50) for s in (0.1, 0.1, 0.3)]
    base, own, slow = (run(text, *NULL_TOLD, requests=traffic(0, 60, latency_s=one), run=here) for one in took)
    for name, one in (("base", base), ("own", own), ("slow", slow)):
        one.save(tmp_path / name)
    statuses = {name: judge_run(tmp_path / name, baseline=tmp_path / "base").verdict.status for name in ("own", "slow")}
    assert statuses == {"own": Status.PASS, "slow": Status.FAIL}
    assert judge_run(tmp_path / "own").verdict.status is Status.INCONCLUSIVE
    directory = RunDirectory(tmp_path / "own")
    write_run_file(directory, {**judge_run(tmp_path / "own").history.run, "baseline": pin(tmp_path / "base")})
    found = judge_run(tmp_path / "own")
    write_reports(found)
    assert found.verdict.status is Status.PASS
    assert json.loads((tmp_path / "own" / "verdict.json").read_text())["run"]["baseline"] == str(tmp_path / "base")
    shutil.rmtree(tmp_path / "base")
    assert judge_run(tmp_path / "own").verdict.status is Status.INCONCLUSIVE
