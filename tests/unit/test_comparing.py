"""`gauntlet compare` and `gauntlet baseline`, from disk to exit code."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from numpy.lib.recfunctions import repack_fields

from harness.cli import cli
from harness.record import store
from harness.record.events import Event
from harness.record.frames import FrameWriter
from harness.record.history import History
from harness.record.journal import Journal
from harness.record.requests import REQUEST_DTYPE
from harness.record.store import RunDirectory, write_run_file
from tests.two_versions import HOST, record, requests

LENGTH_S = 60
SCENARIO = """name: by-hand
load: {shape: [{constant: 25/s}], mix: {ask: 1}}
phases: {steady_state: 60s}
operator: {enabled: false}
objectives: {steady_state: {availability: ">= 90%"}}
compare: {metrics: {latency_p50: 25%}}
"""


def write(path: Path, history: History, scenario: str = SCENARIO, **run: Any) -> Path:
    """A record as a run would leave it."""
    directory = RunDirectory(path)
    directory.requests.mkdir(parents=True)
    directory.scenario_file.write_text(scenario)
    facts = {**history.run, "seed": 1, "scenario": {"name": "by-hand"}, "scenario_file_sha256": sha256(scenario.encode()).hexdigest()}
    write_run_file(directory, {**facts, **run})
    truth = {"documents": 100, "questions": [{"id": n, "gold": [n], "answerable": True} for n in range(10)]}
    directory.questions.write_text(json.dumps(truth))
    journal = Journal(directory.events)
    for event in history.events:
        journal.append(event)
    journal.append(Event(history.end_ns, "ended", "truth", {"complete": True, "ending": "completed", "events": journal.written}))
    journal.close()
    frames = FrameWriter(directory.requests / "load.seg", REQUEST_DTYPE, {"journeys": list(history.journeys)})
    frames.append(history.requests.rows())
    frames.close()
    return path


def run(tmp_path: Path, name: str, seed: int, hour: int, *, slower: float = 1.0, sha: str = "a", host: Any = HOST, **facts: Any) -> Path:
    history = record(requests(seed, LENGTH_S, slower=slower), LENGTH_S, started=f"2026-01-01T{hour:02}:00:00+00:00", host=host)
    events = tuple(e for e in history.events if e.kind != "ended")
    kept = History(events=events, requests=history.requests, journeys=history.journeys, run=history.run)
    return write(tmp_path / f"2026010{hour}T000000Z-{name}", kept, git={"sha": sha * 40, "dirty": False}, **facts)


def gauntlet(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_compare_says_what_it_compared_and_exits_with_the_verdict(tmp_path: Path) -> None:
    base, same, slow = (run(tmp_path, n, s, h, slower=f) for n, s, h, f in (("a", 1, 1, 1.0), ("b", 2, 2, 1.0), ("c", 3, 3, 2.0)))
    passed, failed = gauntlet("compare", base, same), gauntlet("compare", base, slow)
    assert (passed.exit_code, failed.exit_code) == (0, 1), passed.output + failed.output
    assert "PASS compare.steady_state.latency_p50" in passed.output
    document = json.loads(gauntlet("compare", base, slow, "--json").stdout)
    (check,) = document["checks"]
    assert (document["verdict"], document["exit_code"], document["base"]["commit"]) == ("FAIL", 1, "a" * 40)
    assert check["effect"] == pytest.approx(1.0, abs=0.15)
    assert check["interval"][0] < check["effect"] < check["interval"][1]
    assert gauntlet("compare", base, slow, "--json").stdout == gauntlet("compare", base, slow, "--json").stdout


def test_other_machines_are_inconclusive(tmp_path: Path) -> None:
    base, other = run(tmp_path, "a", 1, 1), run(tmp_path, "b", 2, 2, slower=3.0, host={**HOST, "cpus": 2})
    found = gauntlet("compare", base, other)
    assert found.exit_code == 3
    assert "different machines" in found.output


@pytest.mark.parametrize("words", [("compare", "none", "neither"), ("compare", "stored", "none"), ("baseline", "set", "none")])
def test_what_is_not_there_is_one_clear_line(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = gauntlet(*words)
    assert found.exit_code == 2
    assert "Traceback" not in found.output


def test_a_file_and_a_run_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    found = gauntlet("compare", tmp_path / "a.json", run(tmp_path, "a", 1, 1))
    assert (found.exit_code, "one is a file" in found.output) == (2, True)


def test_the_anchor_stays_when_the_baseline_moves(tmp_path: Path) -> None:
    """The third is as slow as the second, which became the baseline; the first still stands."""
    shelf = tmp_path / "baselines"
    first, second, third = (
        run(tmp_path, n, s, h, slower=f, sha=n) for n, s, h, f in (("a", 1, 1, 1.0), ("b", 2, 2, 1.6), ("c", 3, 3, 1.6))
    )
    assert gauntlet("baseline", "set", first, "--baselines", shelf).exit_code == 0
    assert gauntlet("baseline", "set", second, "--baselines", shelf).exit_code == 0
    listed = json.loads(gauntlet("baseline", "list", "--baselines", shelf, "--json").stdout)["baselines"]
    assert [(b["commit"], b["role"], b["scenario"]) for b in listed] == [("a" * 7, "anchor", "by-hand"), ("b" * 7, "current", "by-hand")]
    found = gauntlet("compare", "stored", third, "--baselines", shelf)
    assert "PASS compare.steady_state.latency_p50" in found.output
    assert "FAIL compare.anchor.steady_state.latency_p50" in found.output
    assert found.exit_code == 1


def test_a_run_is_judged_with_its_baseline(tmp_path: Path) -> None:
    base, slow = run(tmp_path, "a", 1, 1), run(tmp_path, "c", 3, 3, slower=2.0)
    alone, both = gauntlet("judge", slow), gauntlet("judge", slow, "--baseline", base)
    assert "FAIL compare.steady_state.latency_p50" not in alone.output
    assert "FAIL compare.steady_state.latency_p50" in both.output
    assert both.exit_code == 1
    assert json.loads((slow / "comparison.json").read_text())["verdict"] == "FAIL"


def test_the_first_run_of_all_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    first = run(tmp_path, "a", 1, 1)
    found = gauntlet("judge", first, "--baseline", "stored", "--baselines", tmp_path / "baselines")
    assert found.exit_code == 3
    assert "no baseline of this scenario on this machine" in found.output


@pytest.mark.parametrize("change", ["failed", "unfit"])
def test_what_failed_or_lacks_evidence_is_no_baseline(change: str, tmp_path: Path) -> None:
    path = run(tmp_path, "a", 1, 1)
    if change == "failed":
        (path / "scenario.yaml").write_text(strict := SCENARIO.replace('">= 90%"', '">= 90%", latency_p95: <= 10ms'))
        document = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps({**document, "scenario_file_sha256": sha256(strict.encode()).hexdigest()}))
    else:
        (path / "requests" / "load.seg").unlink()
    found = gauntlet("baseline", "set", path, "--baselines", tmp_path / "baselines")
    assert found.exit_code == 2
    assert not (tmp_path / "baselines").exists()


def test_a_record_of_an_older_version_has_no_sides_and_is_whole(tmp_path: Path) -> None:
    path = run(tmp_path, "a", 1, 1)
    segment = path / "requests" / "load.seg"
    rows = store.read(path).requests.rows()
    segment.unlink()
    older = [name for name in REQUEST_DTYPE.names or () if name != "side"]
    fewer = repack_fields(rows[older])
    frames = FrameWriter(segment, fewer.dtype, {"journeys": ["ask"]})
    frames.append(fewer)
    frames.close()
    again = store.read(path)
    assert again.damage == ()
    assert set(again.requests["side"]) == {0}


def test_what_is_kept_of_a_run_with_providers_is_whole(tmp_path: Path) -> None:
    """The last event names the journals that there were; a copy without them would count as damaged, and be compared with nothing."""
    path = run(tmp_path, "a", 1, 1)
    (path / "provider").mkdir()
    (path / "provider" / "llm.jsonl").write_text('{"schema": 1}\n{"end": true, "rows": 0}\n')
    text = (path / "events.jsonl").read_text()
    (path / "events.jsonl").write_text(text.replace('"ending":', '"providers": ["llm"], "ending":'))
    expected = store.read(path).damage
    assert gauntlet("baseline", "set", path, "--baselines", tmp_path / "kept").exit_code == 0
    (kept,) = (tmp_path / "kept").glob("*/*/*/run.json")
    assert store.read(kept.parent).damage == expected == ()
