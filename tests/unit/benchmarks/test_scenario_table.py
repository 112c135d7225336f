"""The table of runs, from rows written by hand."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks.rows import FaultRow, Row, Spent, read_rows
from tests.benchmarks.scenario_table import summaries, table


def a_row(
    scenario: str, seed: int, *, exit_code: int = 0, as_expected: bool = True, alert_s: float | None = None, wall_s: float = 70.0
) -> Row:
    fault = FaultRow(
        "f", "process.kill", alert_s, "llm/crash +2s", "restart llm +3s", "recovered", None if alert_s is None else alert_s * 2
    )
    return Row(
        scenario=scenario,
        seed=seed,
        verdict="PASS" if exit_code == 0 else "FAIL",
        exit_code=exit_code,
        reason="",
        not_passed=() if exit_code == 0 else ("expect.f.alert FAIL too late",),
        as_expected=as_expected,
        faults=() if scenario.startswith("null") else (fault,),
        false_alarms=0,
        actions=("restart llm performed",),
        spent=Spent(wall_s, 60.0, 4.0, 2.0),
    )


def test_the_table_has_one_line_a_scenario_and_names_what_did_not_pass() -> None:
    rows = [
        a_row("null", 1, wall_s=66.0),
        a_row("null", 2, wall_s=69.0),
        *(a_row("kill", n, alert_s=float(n)) for n in (1, 2, 3, 4)),
        a_row("kill", 5, exit_code=1, as_expected=False),
    ]
    assert table(rows).splitlines() == [
        "| scenario | n | pass | as expected | MTTD median | MTTR median | false alarms | overhead median / max | goal |",
        "|---|---|---|---|---|---|---|---|---|",
        "| kill | 5 | 4/5 | 4/5 | 2.5 s (n=4) | 5.0 s (n=4) | 0 | 10.0 s / 10.0 s | reached |",
        "| null | 2 | 2/2 | 2/2 | - | - | 0 | 7.5 s / 9.0 s | reached |",
        "",
        "- kill seed 5: expect.f.alert FAIL too late",
    ]


def test_a_control_must_pass_every_time_and_another_scenario_four_times_of_five() -> None:
    control = [a_row("null-spike", n) for n in range(4)] + [a_row("null-spike", 4, exit_code=1)]
    other = [a_row("kill", n) for n in range(3)] + [a_row("kill", n, as_expected=False) for n in (3, 4)]
    assert {s.scenario: s.reached for s in summaries([*control, *other])} == {"null-spike": False, "kill": False}


def test_a_run_without_a_verdict_is_in_the_table() -> None:
    dead = Row("null", 1, None, 4, "postgres did not start", (), False, (), 0, (), Spent(3.0, None, None, None))
    assert table([dead]).splitlines()[2:] == [
        "| null | 1 | 0/1 | 0/1 | - | - | 0 | - | missed |",
        "",
        "- null seed 1: exit 4: postgres did not start",
    ]


def test_rows_survive_the_file_and_a_torn_last_line(tmp_path: Path) -> None:
    rows = [a_row("null", 1), a_row("kill", 2, alert_s=1.5)]
    lines = "".join(json.dumps(r.to_json()) + "\n" for r in rows)
    path = tmp_path / "results.jsonl"
    path.write_text(lines + lines[:40], encoding="utf-8")
    assert read_rows(path) == rows
    assert read_rows(tmp_path / "none.jsonl") == []
