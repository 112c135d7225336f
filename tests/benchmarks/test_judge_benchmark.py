"""What judging costs, over synthetic runs of 1 000 to 100 000 requests: `pytest tests/benchmarks --benchmark-enable`.

In the ordinary suite benchmarks are off (pyproject.toml): each case then runs once, to prove that it works.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.gate import decide
from harness.record.history import History
from harness.record.requests import NOTHING, REQUEST_DTYPE, Outcome
from harness.report import verdict_json
from harness.scenario.model import Scenario
from harness.score.judge import judge
from tests.history_builder import JOURNEYS, at_ns, history, questions, scenario

LIMITS = {"availability": ">= 99%", "latency_p95": "<= 800ms", "answered": ">= 95%", "recall_at_5": ">= 0.9"}
EXPECTED = {"alert": "<= 10s", "outcome": ["absorbed", "recovered"], "root_cause": {"service": "llm", "kind": "latency"}}
STORY = (
    "0s steady_state",
    "30s fault",
    "30s fault latency@llm id=f fix=switch_provider",
    "34s alert llm",
    "34s diagnosis llm/latency:0.9",
    "35s action switch_provider llm",
    "70s heal",
    "70s recovery",
    "100s end",
)


def synthetic(count: int) -> History:
    """A run of 100 s with `count` requests, evenly spaced; a log-normal latency around 200 ms, one in a thousand fails."""
    rng = np.random.default_rng(7)
    rows = np.zeros(count, dtype=REQUEST_DTYPE)
    rows["seq"] = np.arange(count)
    rows["journey"] = rng.choice(len(JOURNEYS), count, p=(0.6, 0.3, 0.1))
    rows["intended_ns"] = rows["start_ns"] = np.linspace(at_ns(0), at_ns(100), count, endpoint=False).astype(np.int64)
    rows["end_ns"] = rows["intended_ns"] + (rng.lognormal(np.log(0.2), 0.3, count) * 1e9).astype(np.int64)
    rows["first_ns"] = rows["last_ns"] = rows["end_ns"]
    rows["outcome"] = np.where(rng.random(count) < 0.001, Outcome.ERROR, Outcome.OK)
    rows["question"] = np.where(rows["journey"] < 2, rng.integers(0, 100, count), -1)
    rows["canary"], rows["refused"], rows["degraded"], rows["preferred"] = 1, 0, 0, 1
    rows["sources"], rows["citations"] = NOTHING, NOTHING
    rows["sources"][:, 0] = rows["citations"][:, 0] = rows["question"]
    return history(*STORY, requests=rows, questions=questions(100), load={"arrivals": count})


def asked(count: int) -> Scenario:
    """A scenario that offers so many requests in its 100 s, and asks for something of everything."""
    return scenario(
        load={"shape": [{"constant": f"{count / 100:g}/s"}]},
        faults=[{"id": "f", "type": "llm.slow_first_token", "target": "llm", "at": "fault", "for": "40s", "with": {"ttft": "4s"}}],
        expect=[{"fault": "f", **EXPECTED}, {"false_alarms": 0, "needless_actions": 0}],
        objectives={
            "steady_state": LIMITS,
            "fault": LIMITS,
            "recovery": {"availability": ">= 99%", "latency_p95": "<= +25% of steady_state"},
        },
    )


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
def test_judging(benchmark: BenchmarkFixture, count: int) -> None:
    run, wanted = synthetic(count), asked(count)

    def judged() -> bytes:
        # A history keeps what it once derived: each round judges a fresh one, as the program does.
        fresh = History(run.events, run.requests, run.journeys, run.run, run.questions, run.documents, run.damage)
        return verdict_json.render(decide(judge(fresh, wanted), wanted), fresh, wanted)

    document = json.loads(benchmark(judged))
    judged_at_all = [c["name"] for c in document["checks"] if c["group"] in ("objective", "expect") and c["value"] is not None]
    assert len(judged_at_all) >= 10, document["checks"]
