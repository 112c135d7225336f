"""How often does a single relative objective (`<= +10%`) blame noise, and how often does it find a real change? By simulation.

    python -m tests.benchmarks.objective_power [--state FILE] [--trials 2000] [--form baseline] [--minutes M]

As `gate_power`, for limits of one objective: relative to a baseline run (one run after the other), and relative to the steady state of the
same run (two phases that follow one another). Each pair of histories is asked all questions of its form.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.record.pieces import Requests as Rows
from harness.record.requests import REQUEST_DTYPE, Outcome
from harness.scenario.slis import sli_name
from harness.scenario.units import limit
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.relative import Side, judge_relative
from harness.score.spans import NS_PER_S, Span
from harness.score.to_baseline import judge_to_baseline
from tests.benchmarks import gate_histories as histories
from tests.benchmarks.gate_histories import KINDS, Kind, Requests, Rng
from tests.benchmarks.trials import CHUNK, State, carried_on

RATE = 25.0
Form = Literal["baseline", "steady_state"]
LENGTH_S: dict[Form, float] = {"baseline": 600.0, "steady_state": 120.0}  # docs/compare.md
MOST_FALSE, LEAST_FOUND = 0.01, 0.95
_ALLOWED = {"latency_p95": "<= +10%", "availability": ">= -1%"}
_BLANK = Result("objective", "objective", Status.INCONCLUSIVE, "")


@dataclass(frozen=True)
class Question:
    """What is asked of a pair: an objective, and what is wrong with the later of the two, as a share of what is allowed."""

    sli: str
    beyond: float
    change: Callable[[Rng, Requests], Requests]

    @property
    def name(self) -> str:
        return f"{self.sli} {self.beyond:g}x"


def _later(share: float) -> Callable[[Rng, Requests], Requests]:
    return lambda _rng, requests: histories.slower(requests, share)


def _failing(points: float) -> Callable[[Rng, Requests], Requests]:
    return lambda rng, requests: histories.worse(rng, requests, "available", points)


QUESTIONS = (
    *(Question("latency_p95", beyond, _later(0.1 * beyond)) for beyond in (0.0, 1.0, 2.0)),
    *(Question("availability", beyond, _failing(0.01 * beyond)) for beyond in (0.0, 1.0, 2.0)),
)


@dataclass(frozen=True)
class Cell:
    """A kind of history of one length. `part` is the share of the form's length."""

    form: Form
    kind: Kind
    part: float

    @property
    def name(self) -> str:
        return f"{self.form}/{self.kind.name}/{self.part:g}"

    @property
    def length_s(self) -> int:
        return round(LENGTH_S[self.form] * self.part)


def side(requests: Requests, start_s: float, length_s: float) -> Side:
    """A phase of a run, as it is recorded."""
    found = np.zeros(len(requests.t_s), dtype=REQUEST_DTYPE)
    found["intended_ns"] = found["start_ns"] = np.rint((requests.t_s + start_s) * NS_PER_S).astype(np.int64)
    found["end_ns"] = found["intended_ns"] + np.rint(requests.latency_s * NS_PER_S).astype(np.int64)
    found["outcome"] = np.where(requests.available > 0, Outcome.OK, Outcome.ERROR)
    return Side(Rows.of(found), Span(round(start_s * NS_PER_S), round((start_s + length_s) * NS_PER_S)), Context())


def judged(form: Form, earlier: Side, later: Side, sli: str) -> Status:
    """The product's own verdict on one objective."""
    judge = judge_to_baseline if form == "baseline" else judge_relative
    return judge(_BLANK, later, earlier, sli_name(sli), limit(f"{_ALLOWED[sli]} of {form}")).status


def chunk(cell: Cell, number: int) -> Counter[str]:
    """What was said of 50 pairs: `question=STATUS`."""
    rng = np.random.default_rng([zlib.crc32(cell.name.encode()), number])
    told: Counter[str] = Counter()
    for _ in range(CHUNK):
        earlier, later = histories.apart(rng, cell.kind, cell.length_s, RATE)
        before = side(earlier, 1.0, cell.length_s)
        for question in QUESTIONS:
            after = side(question.change(rng, later), 1.0 + cell.length_s, cell.length_s)
            status = judged(cell.form, before, after, question.sli)
            told[f"{question.name}={status.value}"] += 1
    return told


def trials(told: Mapping[str, int]) -> int:
    return sum(told.get(f"{QUESTIONS[0].name}={status.value}", 0) for status in Status)


def table(state: State, cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """The lines, and what misses its figure."""
    head = f"{'relative to':<14}{'history':<20}{'length':>8}  {'SLI and change':<20}{'trials':>8}"
    lines = [head + "".join(f"{s.value:>14}" for s in Status)]
    missed = []
    for cell in cells:
        told = state.get(cell.name, {})
        for question in QUESTIONS if (n := trials(told)) else ():
            share = {status: told.get(f"{question.name}={status.value}", 0) / n for status in Status}
            left = f"{cell.form:<14}{cell.kind.name:<20}{cell.length_s:>7}s  {question.name:<20}{n:>8}"
            lines.append(left + "".join(f"{share[s]:>14.2%}" for s in Status))
            missed += [f"{cell.name} {question.name}: {why}" for why in _missed(cell, question, share)]
    return lines, missed


def _missed(cell: Cell, question: Question, share: Mapping[Status, float]) -> Iterator[str]:
    if question.beyond == 0.0 and share[Status.FAIL] > MOST_FALSE:
        yield f"{share[Status.FAIL]:.2%} of the equal pairs fail"
    if cell.form == "baseline" and question.beyond >= 1.0 and share[Status.PASS] + share[Status.WARN] > MOST_FALSE:
        yield f"{share[Status.PASS] + share[Status.WARN]:.2%} pass"
    if cell.form == "baseline" and cell.part == 1.0 and question.beyond >= 2.0 and share[Status.FAIL] < LEAST_FOUND:
        yield f"found in {share[Status.FAIL]:.2%}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, default=Path("objective-power.json"))
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--form", choices=["baseline", "steady_state", "both"], default="both")
    parser.add_argument("--minutes", type=float, default=1e9)
    asked = parser.parse_args(argv)
    forms: tuple[Form, ...] = ("steady_state", "baseline") if asked.form == "both" else (asked.form,)
    cells = [Cell(form, kind, part) for form in forms for part in (0.25, 1.0) for kind in KINDS]
    state = carried_on(asked.state, cells, -(-asked.trials // CHUNK), asked.minutes, trials, chunk)
    lines, missed = table(state, cells)
    print("\n".join(lines))
    print("\n".join(f"MISSED {line}" for line in missed) or "every finished cell keeps its figure")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
