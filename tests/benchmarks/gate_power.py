"""How often does `gauntlet compare` blame noise, and how often does it find a real change? By simulation, beside other gates.

    python -m tests.benchmarks.gate_power [--state FILE] [--trials 2000] [--design interleaved] [--records RUN…] [--minutes M]

Each trial draws two histories (`gate_histories`), leaves them equal or makes the candidate worse, and asks the product's own
`score.compare` for the default metrics. Cells are kept in the state file in chunks of 50 trials, each with a seed of its own, so that a run
that is broken off goes on where it was; `--minutes` ends it in time. At the end, and whenever it is called with what is done, the table is
printed; the exit code is 1 where a finished cell misses its figure.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.record.history import History
from harness.record.requests import Outcome
from harness.record.store import read
from harness.scenario.comparison import DEFAULT_METRICS
from harness.scenario.slis import sli_name
from harness.score import sli as slis
from harness.score.blockwise import MOST_BESIDE, MOST_BLOCKS
from harness.score.check import Status, merge
from harness.score.compare import Measured, cut, statuses
from harness.score.context import Context
from harness.score.effect import Design
from harness.score.sli import Observations
from harness.score.spans import NS_PER_S, Span
from tests.benchmarks import gate_histories as histories
from tests.benchmarks import other_gates
from tests.benchmarks.gate_histories import KINDS, Kind, Requests
from tests.benchmarks.trials import CHUNK, State, carried_on

RATE = 25.0
LENGTH_S: dict[Design, int] = {"interleaved": 600, "sequential": 2400}  # the default sample size, docs/compare.md
CHANGES = ("none", "p95 +10%", "availability -1%", "recall -5 points")
MOST_FALSE, LEAST_FOUND = 0.01, 0.95
_VALUES = {
    "availability": "available", "latency_p50": "latency_s", "latency_p95": "latency_s", "ttft_p95": "ttft_s", "answered": "answered",
    "recall_at_5": "recall",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One row of the table: a kind of history, and what is wrong with the candidate. `part` is the share of the default length."""

    design: Design
    kind: Kind
    change: str
    part: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.design}/{self.kind.name}/{self.change}/{self.part:g}"

    @property
    def length_s(self) -> int:
        return round(LENGTH_S[self.design] * self.part)


def verdict(base: Requests, candidate: Requests, cell: Cell) -> Status:
    """The product's own verdict on two histories."""
    span = Span(0, cell.length_s * NS_PER_S)
    blocks = cut(span, MOST_BESIDE if cell.design == "interleaved" else MOST_BLOCKS)
    measured = [
        Measured(name, sli_name(name), metric, observed(base, name), observed(candidate, name), (blocks, blocks), cell.design)
        for name, metric in DEFAULT_METRICS.items()
    ]
    found = statuses(measured)
    return merge([*found.values(), *([Status.INCONCLUSIVE] if len(found) < len(measured) else [])])


def observed(requests: Requests, name: str) -> Observations:
    """The readings as the product makes them of a record."""
    values = getattr(requests, _VALUES[name])
    known = ~np.isnan(values)
    t_ns = np.rint(requests.t_s[known] * NS_PER_S).astype(np.int64)
    return Observations(t_ns, np.rint(values[known] * NS_PER_S).astype(np.int64) if sli_name(name).percentile else values[known])


def chunk(cell: Cell, number: int) -> Counter[str]:
    """What the gates said of 50 pairs."""
    rng = np.random.default_rng([zlib.crc32(cell.name.encode()), number])
    limits = thresholds(cell.kind)
    told: Counter[str] = Counter()
    for _ in range(CHUNK):
        draw = histories.beside if cell.design == "interleaved" else histories.apart
        base, candidate = draw(rng, cell.kind, cell.length_s, RATE)
        candidate = changed(rng, candidate, cell.change)
        told[verdict(base, candidate, cell).value] += 1
        told["kayenta"] += other_gates.kayenta(base, candidate)
        told["k6"] += other_gates.k6(candidate, limits)
        told["pytest-benchmark"] += other_gates.pytest_benchmark(base, candidate)
    return told


def changed(rng: np.random.Generator, candidate: Requests, change: str) -> Requests:
    match change:
        case "p95 +10%":
            return histories.slower(candidate, 0.10)
        case "availability -1%":
            return histories.worse(rng, candidate, "available", 0.01)
        case "recall -5 points":
            return histories.worse(rng, candidate, "recall", 0.05)
        case _:
            return candidate


def thresholds(kind: Kind) -> tuple[float, float, float]:
    """Half-way between the kind's own long-run figures and the changes that are to be found."""
    rng = np.random.default_rng(1)
    long, _ = histories.beside(rng, replace(kind, drift=0.0), 3600, RATE)
    return (float(np.quantile(long.latency_s, 0.95)) * 1.05, float(np.mean(long.available)) - 0.005, float(np.mean(long.recall)) - 0.025)


def cells(kinds: Sequence[Kind], designs: Sequence[Design]) -> Iterator[Cell]:
    for design in designs:
        for change in CHANGES:
            yield from (Cell(design, kind, change) for kind in kinds)
        yield from (Cell(design, kind, "p95 +10%", 0.25) for kind in kinds)


def recorded(paths: Sequence[Path]) -> Kind:
    """The requests of real runs, one after the other; those of two versions must have served equal ones."""
    parts: list[Requests] = []
    end_s = 0.0
    for path in paths:
        one = requests_of(read(path))
        parts.append(replace(one, t_s=one.t_s + end_s))
        end_s = float(parts[-1].t_s[-1])
    joined = Requests(*(np.concatenate([getattr(p, name) for p in parts]) for name in Requests.__dataclass_fields__))
    return Kind("recorded", recorded=joined)


def requests_of(history: History, side: int | None = None) -> Requests:
    """The questions of one side, or of both, in steady state; a request that was not served, or asked nothing, has no quality to lose."""
    context = Context.of(history)
    rows = history.in_phase("steady_state").rows()
    rows = rows[(rows["question"] >= 0) & ((side is None) | (rows["side"] == side))]
    rows = rows[np.argsort(rows["intended_ns"], kind="stable")]
    shares = {}
    for name in ("recall_at_5", "answered"):
        seen = slis.observe(rows, sli_name(name), context)
        by_time = dict(zip(seen.t_ns.tolist(), seen.values.tolist(), strict=True))
        shares[name] = np.array([by_time.get(t, np.nan) for t in rows["intended_ns"].tolist()])
    streamed = rows["first_ns"] > 0
    intended = rows["intended_ns"]
    return Requests(
        (intended - intended[0]) / NS_PER_S,
        (rows["end_ns"] - intended) / NS_PER_S,
        np.where(streamed, (rows["first_ns"] - intended) / NS_PER_S, np.nan),
        (rows["outcome"] == Outcome.OK).astype(np.float64),
        np.nan_to_num(shares["recall_at_5"], nan=1.0),
        np.nan_to_num(shares["answered"], nan=1.0),
    )


def trials(told: Mapping[str, int]) -> int:
    return sum(told.get(status.value, 0) for status in Status)


def table(state: State, rows: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """The lines, and what misses its figure."""
    head = f"{'design':<12}{'history':<20}{'change':<18}{'of default':>10}{'trials':>8}{'FAIL':>8}{'PASS':>8}{'INC.':>8}"
    lines = [head + f"  |{'Mann-Whitney':>13}{'k6':>8}{'pytest-b.':>10}"]
    missed = []
    for cell in rows:
        told = Counter(state.get(cell.name, {}))
        n = trials(told)
        if not n:
            continue
        share = {name: told[name] / n for name in (*(s.value for s in Status), "kayenta", "k6", "pytest-benchmark")}
        left = f"{cell.design:<12}{cell.kind.name:<20}{cell.change:<18}{cell.part:>10.0%}{n:>8}"
        ours = f"{share['FAIL']:>8.2%}{share['PASS']:>8.2%}{share['INCONCLUSIVE']:>8.2%}"
        lines.append(f"{left}{ours}  |{share['kayenta']:>13.2%}{share['k6']:>8.2%}{share['pytest-benchmark']:>10.2%}")
        if cell.change == "none" and share["FAIL"] > MOST_FALSE:
            missed.append(f"{cell.name}: {share['FAIL']:.2%} of the equal pairs fail")
        if cell.change != "none" and cell.part == 1.0 and share["FAIL"] < LEAST_FOUND:
            missed.append(f"{cell.name}: found in {share['FAIL']:.2%}")
        if cell.change != "none" and share["PASS"] > MOST_FALSE:
            missed.append(f"{cell.name}: passes in {share['PASS']:.2%}")
    return lines, missed


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, default=Path("gate-power.json"))
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--design", choices=["interleaved", "sequential", "both"], default="both")
    parser.add_argument("--records", type=Path, nargs="*", default=[], help="run directories to draw recorded histories from")
    parser.add_argument("--minutes", type=float, default=1e9)
    asked = parser.parse_args(argv)
    kinds = [*KINDS, *([recorded(asked.records)] if asked.records else [])]
    designs: tuple[Design, ...] = ("interleaved", "sequential") if asked.design == "both" else (asked.design,)
    rows = list(cells(kinds, designs))
    state = carried_on(asked.state, rows, -(-asked.trials // CHUNK), asked.minutes, trials, chunk)
    lines, missed = table(state, rows)
    print("\n".join(lines))
    print("\n".join(f"MISSED {line}" for line in missed) or "every finished cell keeps its figure")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
