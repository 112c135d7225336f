"""Judging goes through the requests piece by piece. What it finds is what plain loops over all of them find, whatever the pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.gate import decide
from harness.judging import judge_run
from harness.record import pieces
from harness.record.history import History
from harness.record.requests import Outcome
from harness.report import html, junit, verdict_json
from harness.scenario.loader import load_text
from harness.scenario.slis import sli_name
from harness.scenario.units import Limit
from harness.score import sli as slis
from harness.score.context import Context
from harness.score.judge import judge
from harness.score.spans import Span
from tests.history_builder import at_ns, history, questions, together, traffic
from tests.record_on_disk import save

TEXT = """\
name: piecewise
stack: {use: reference}
load: {shape: [{constant: 25/s}], mix: {ask: 2, ask_stream: 1}}
phases: {steady_state: 30s, fault: 40s, recovery: 30s}
faults: [{id: f, type: llm.slow_first_token, target: llm, at: fault, for: 40s, with: {ttft: 4s}}]
expect:
  - {fault: f, alert: "<= 10s", outcome: [absorbed, recovered]}
  - {false_alarms: 0, harmful_actions: 0}
objectives:
  steady_state: {availability: ">= 75%", latency_p95: "<= 800ms", recall_at_5: ">= 10%", ndcg_at_5: ">= 5%", goodput: ">= 5/s"}
  fault: {availability: ">= 80%", latency_p95: "<= 5s", ttft_p95: "<= 4s", tpot_p50: "<= 1s", max_gap_p95: "<= 1s", wrong_answers: "<= 3"}
  recovery: {availability: ">= 90%", latency_p95: "<= +25% of steady_state", answered: ">= 50%", citations_valid: ">= 10%", mrr: ">= 10%"}
"""
STORY = (
    "0s steady_state", "30s fault", "30s fault latency@llm fix=switch_provider blast=generation", "33s alert llm",
    "33s action switch_provider generation for=4", "50s action restart cache", "70s heal", "70s recovery", "100s end",
)  # fmt: skip


@contextmanager
def pieces_of(rows: int) -> Iterator[None]:
    kept, pieces.PIECE_ROWS = pieces.PIECE_ROWS, rows
    try:
        yield
    finally:
        pieces.PIECE_ROWS = kept


def random_traffic(seed: int, slow_s: float, bad: float, later_s: float = 0.0) -> NDArray[Any]:
    """Requests of 100 s at 25/s, in the order of their ends: slow after the onset, with every outcome and every kind of answer."""
    rng = np.random.default_rng(seed)
    rows = together(
        traffic(0, 30), traffic(30, 30 + slow_s, latency_s=4.0), traffic(30 + slow_s, 70), traffic(70, 100, latency_s=0.1 + later_s)
    )
    n = len(rows)
    rows["journey"] = rng.integers(0, 3, n)
    rows["end_ns"] += rng.integers(0, 300_000_000, n)
    rows["first_ns"] = rows["start_ns"] + (rows["end_ns"] - rows["start_ns"]) // rng.integers(2, 9, n)
    rows["first_ns"][rng.random(n) < 0.1] = 0
    rows["last_ns"] = np.where(rows["first_ns"] > 0, rows["end_ns"], 0)
    rows["chunks"], rows["tokens"], rows["max_gap_ns"] = rng.integers(0, 9, n), rng.integers(0, 3, n), rng.integers(0, 10**9, n)
    rows["outcome"] = np.where(rng.random(n) < bad, rng.integers(0, 6, n), Outcome.OK)
    rows["question"] = rng.integers(-1, 10, n)
    for name in ("canary", "refused", "degraded", "preferred"):
        rows[name] = rng.integers(-1, 2, n)
    rows["sources"], rows["citations"] = rng.integers(-1, 12, (n, 10)), rng.integers(-1, 12, (n, 6))
    rows["drop_cause"] = rng.random(n) < 0.01
    for name in ("start_ns", "first_ns", "last_ns"):
        rows[name][rows["outcome"] == Outcome.DROPPED] = 0
    return rows[np.argsort(rows["end_ns"], kind="stable")]


def reports(told: History) -> tuple[bytes, bytes, str]:
    asked = load_text(TEXT).scenario
    verdict = decide(judge(told, asked), asked)
    return verdict_json.render(verdict, told, asked), junit.render(verdict, told, asked), html.render(verdict, told, asked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("piecewise") / "run"


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    slow_s=st.sampled_from([0.0, 4.0, 12.0, 40.0]),
    bad=st.sampled_from([0.0, 0.01, 0.2]),
    later_s=st.sampled_from([0.0, 0.15, 0.5]),
    frame=st.integers(20, 400),
    piece=st.integers(100, 700),
)
def test_reports_are_the_same_bytes(seed: int, slow_s: float, bad: float, later_s: float, frame: int, piece: int, place: Path) -> None:
    rows = random_traffic(seed, slow_s, bad, later_s)
    told = history(*STORY, requests=rows, questions=questions(10, unanswerable=(3, 7)), documents=12)
    save(place, TEXT, told, (rows[n : n + frame] for n in range(0, len(rows), frame)))
    with pieces_of(piece):
        found = judge_run(place)
        read = (found.scenario.model_dump(), found.history.events, reports(found.history))
    with pieces_of(len(rows)):
        assert len(list(told.requests.pieces())) == 1
        whole = History(found.history.events, told.requests, told.journeys, found.history.run, told.questions, told.documents)
        assert read[2] == reports(whole)


def naive(rows: NDArray[Any], span: Span) -> dict[str, float]:
    """Row by row, as the definitions say it."""
    inside = [r for r in rows if span.holds(int(r["intended_ns"]))]
    arrived = [r for r in inside if not (r["outcome"] == Outcome.DROPPED and r["drop_cause"] == 1)]
    timed = sorted(int(r["end_ns"] - r["intended_ns"]) for r in arrived if r["outcome"] in (Outcome.OK, Outcome.TIMEOUT))
    return {
        "availability": sum(1 for r in arrived if r["outcome"] == Outcome.OK) / len(arrived),
        "latency_p95": timed[math.ceil(0.95 * len(timed)) - 1] / 1e9,
        "latency_p50": timed[math.ceil(0.5 * len(timed)) - 1] / 1e9,
        "slow": sum(1 for latency_ns in timed if latency_ns > 250_000_000),
    }


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bad=st.sampled_from([0.0, 0.2]), piece=st.integers(1, 500), start_s=st.integers(0, 90))
def test_values_are_those_of_a_plain_loop(seed: int, bad: float, piece: int, start_s: int) -> None:
    rows, span = random_traffic(seed, 4.0, bad), Span(at_ns(start_s), at_ns(start_s + 10))
    expected, context = naive(rows, span), Context(("ask", "ask_stream", "ingest"), questions())
    told = history("0s steady_state", "100s end", requests=rows)
    with pieces_of(piece):
        requests = told.between(span.start_ns, span.end_ns)
        for text in ("availability", "latency_p95", "latency_p50"):
            assert slis.value(slis.observe(requests, sli_name(text), context), sli_name(text)) == pytest.approx(expected[text], abs=1e-12)
        name, limit = sli_name("latency_p95"), Limit("<= 250ms", "<=", 0.25, "s")
        proportion = slis.proportion(slis.observe(told.requests, name, context), name, limit.op, limit.value)
        assert proportion is not None
        windows = [span, Span(span.start_ns, span.start_ns), Span(at_ns(-5), at_ns(0)), span]
        counts = proportion.counts(windows)
    assert [bad for bad, _ in counts] == [expected["slow"], 0.0, 0.0, expected["slow"]]
