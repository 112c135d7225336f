"""`gauntlet diff`, and the page of `gauntlet compare --html`."""

from __future__ import annotations

import json
from pathlib import Path

from harness.report.diff import differences, document, lines
from harness.report.material import Material
from harness.score.check import Status
from tests.unit.report import sample
from tests.unit.test_comparing import gauntlet, run


def test_a_run_does_not_differ_from_itself() -> None:
    side = Material(sample.verdict(), sample.history(), sample.scenario())
    found = differences(side, side, ("a", "b"))
    assert (found.run, found.scenario, found.checks, found.faults, found.events) == ((), (), (), (), ())
    assert found.slis
    assert {reading.change for reading in found.slis} <= {"+0.00 points", "+0.0%"}


def test_what_differs_is_told_by_its_name() -> None:
    base = Material(sample.verdict(), sample.history(), sample.scenario())
    events = tuple(e for e in sample.events() if e.kind != "action")
    changed = tuple(r for r in sample.RESULTS if r.status is not Status.FAIL)
    other = {**sample.RUN, "seed": 8, "host": {**sample.RUN["host"], "versions": {"locust": "3.0"}}}  # type: ignore[dict-item]
    faster = sample.requests()
    faster["end_ns"] = faster["intended_ns"] + (faster["end_ns"] - faster["intended_ns"]) // 2
    scenario = sample.scenario().model_copy(update={"hypothesis": "another"})
    candidate = Material(sample.verdict(changed), sample.history(events=events, run=other, requests=faster), scenario)
    found = differences(base, candidate, ("a", "b"))
    names = {change.name: (change.base, change.candidate) for part in (found.run, found.checks, found.faults) for change in part}
    assert names["seed"] == ("7", "8")
    assert names["host.versions.locust"] == ("2.47.0", "3.0")
    assert names["host.versions.rag-gauntlet"] == ("0.1.0", None)
    assert names["fault.availability"] == ("FAIL", None)
    assert names["slow-llm.action"] == ("switch_provider generation +10.8s", "none")
    assert [change.name for change in found.scenario] == ["hypothesis"]
    (p95,) = [r for r in found.slis if (r.phase, r.sli) == ("fault", "latency_p95")]
    assert p95.change == "-50.0%"
    assert document(found)["judged"] is False
    assert "not judged" in "\n".join(lines(found))


def test_the_command_judges_nothing(tmp_path: Path) -> None:
    base, slow = run(tmp_path, "a", 1, 1), run(tmp_path, "c", 3, 3, slower=2.0, sha="c")
    told = gauntlet("diff", base, slow)
    assert told.exit_code == 0, told.output
    assert f"- commit: {'a' * 40} -> {'c' * 40}" in told.output
    found = json.loads(gauntlet("diff", base, slow, "--json").stdout)
    assert {row["name"] for row in found["run"]} == {"commit"}
    assert gauntlet("diff", base, tmp_path / "none").exit_code == 2


def test_a_comparison_becomes_a_page(tmp_path: Path) -> None:
    base, slow = run(tmp_path, "a", 1, 1), run(tmp_path, "c", 3, 3, slower=2.0)
    page = tmp_path / "page.html"
    assert gauntlet("compare", base, slow, "--html", page).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    for words in ("Is the candidate worse?", ">397.1ms<", "latency_p50", "SLIs by phase", 'class="span FAIL"', 'class="line candidate"'):
        assert words in text, words
    assert gauntlet("compare", base, slow, "--html", tmp_path / "no" / "page.html").exit_code == 2
