"""What `check` says of loads: each with its place, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.checks.system import check_load
from harness.scenario.loader import load_text
from harness.scenario.problem import ScenarioError
from tests.unit.scenario.catalogue import REFERENCE


def said(load: str, phases: str = "{steady_state: 60s}") -> list[str]:
    """Everything that is said of a load, with line and column."""
    try:
        loaded = load_text(f"name: a\nload:\n  {load}\nphases: {phases}\n")
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in check_load(loaded, REFERENCE)]


@pytest.mark.parametrize(
    ("load", "place", "message"),
    [
        ("shape: [{sine: {mean: 5/s, amplitude: 9/s, period: 10s}}]", ":3:", "no rate is below zero; lower it"),
        ("shape: [{sine: {mean: 5/s, amplitude: 5/s, period: 90s}}]", ":3:54:", "write a period of at most 60s"),
        ("shape: [{sweep: {from: 50/s, to: 5/s}}]", ":3:", "a sweep goes upwards"),
        ("shape: [{gamma: {rate: 5/s, burstiness: 0}}]", ":3:", "write at least 0.01"),
        ("shape: [{steps: {from: 5/s, to: 9/s, steps: 1}}]", ":3:", "steps: 1 is out of range; write at least 2"),
        ("shape: [{constant: 5/s, soak: 5/s}]", ":3:", "exactly one of constant, soak, poisson"),
        ("shape: [{soak: 5/s}]", ":3:12:", "warning: a soak of 60s is too short"),
        ("shape: [{trace: {file: /nowhere.csv, format: azure}}]", ":3:26:", "/nowhere.csv: No such file"),
        ("mix: {ask: 1}", ":3:", "write shape: [{constant: 10/s}], or closed: {users: 10}, or a locustfile"),
        ("{shape: [{constant: 5/s}], closed: {users: 5}}", ":3:", "two models of load"),
        ("{locustfile: mine.py, engine: asyncio, workers: 2}", ":3:", "a locustfile needs Locust; drop `engine: asyncio`"),
        ("{closed: {users: 1}, workers: 2}", ":3:", "2 workers cannot share 1 user; write `workers: 1` or less, or more users"),
        ("{closed: {users: 3}, engine: asyncio, workers: 4}", ":3:", "4 workers cannot share 3 users; write `workers: 3`"),
        ("{locustfile: mine.py, closed: {users: 3}, workers: 4}", ":3:", "4 workers cannot share 3 users; write `workers: 3`"),
        ("{closed: {users: 5}, workers: 2, remote_workers: 2}", ":3:", "write `remote_workers` and `listen`"),
        ("{locustfile: /nowhere.py}", ":3:16:", "no such file"),
    ],
)
def test_what_is_wrong_is_refused_where_it_stands(load: str, place: str, message: str) -> None:
    (problem,) = said(load)
    assert place in problem and message in problem, problem


def test_a_trace_that_ends_early_is_warned_of_and_journeys_of_a_replayed_run_must_be_known(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("Timestamp\n0\n30\n")
    (problem,) = said(f"shape: [{{trace: {{file: {file}, format: burstgpt}}}}]")
    assert "warning: the trace ends after 30s at this speed, and the segment lasts 60s" in problem
    assert said(f"shape: [{{trace: {{file: {file}, format: burstgpt, speed: 0.5}}}}]") == []


@pytest.mark.parametrize(
    "load",
    [
        "closed: {users: 3}",
        "closed: {users: 3, think_time: 0s}",
        "{shape: [{constant: 1/s}], workers: 2}",
        "{shape: [{constant: 1/s}], engine: asyncio, workers: 2}",
        "{closed: {users: 2}, workers: 2}",
        "{closed: {users: 4}, engine: asyncio, workers: 2, remote_workers: 1, listen: '*:5557'}",
        "shape: [{sweep: {from: 5/s, to: 9/s}}]",
    ],
)
def test_what_is_right_is_not_complained_of(load: str) -> None:
    assert said(load) == []
