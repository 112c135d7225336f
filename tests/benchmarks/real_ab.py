"""Does the comparison hold on a real machine? The reference stack against itself, and against a version that is 15 % slower end to end.

    python -m tests.benchmarks.real_ab [--out DIR] [--equal 30] [--slower 10] [--rate 25] [--seconds 120] [--minutes M]

Each run serves two versions side by side (docs/compare.md). Of the equal pairs at most one of 30 may fail; each slower candidate must. Its
gateway holds every request back by 15 % of the median that the equal pair before it measured. Runs are kept below DIR; one that is there
already is not made again, so that the script goes on where it was broken off. At the end it prints the table, with what Mann-Whitney on
averages of each second, absolute thresholds as of k6, and pytest-benchmark's compare say of the same records.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.judging import judge_run
from harness.record.store import read
from tests.benchmarks import other_gates
from tests.benchmarks.gate_histories import Requests
from tests.benchmarks.gate_power import requests_of
from tests.benchmarks.gauntlet_process import run_scenario

SLOWER = 0.15
MOST_FALSE_OF_30 = 1
SCENARIO = """name: real-ab
stack: {{use: reference}}
load: {{shape: [{{constant: {rate}/s}}], mix: {{ask: 7, ask_stream: 3}}}}
phases: {{warmup: 10s, steady_state: {seconds}s}}
operator: {{enabled: false}}
compare: {{candidate: {{version: 1.1.0{changes}}}}}
"""


@dataclass(frozen=True)
class Pair:
    """One run that was made."""

    directory: Path
    slower: bool
    verdict: str
    reason: str
    base: Requests
    candidate: Requests


def pair(directory: Path, slower: bool) -> Pair:
    """Judged anew, from its record."""
    (run,) = (p.parent for p in directory.glob("real-ab/*/run.json"))
    judged = judge_run(run)
    history = read(run)
    return Pair(run, slower, judged.verdict.status.value, judged.verdict.reason, requests_of(history, 0), requests_of(history, 1))


def carry_out(directory: Path, load: tuple[int, int], seed: int, delay_ms: float | None) -> bool:
    """True once the record of this run is there and whole. `load` is its rate a second, and for how many."""
    if (directory / "done").exists():
        return True
    directory.mkdir(parents=True, exist_ok=True)
    changes = f", environment: {{gateway: {{BUILD_LATENCY_MS: '{delay_ms:.1f}'}}}}" if delay_ms is not None else ""
    (directory / "scenario.yaml").write_text(SCENARIO.format(rate=load[0], seconds=load[1], changes=changes))
    attempt = directory / f"attempt-{len(list(directory.glob('attempt-*')))}"
    ended = run_scenario(directory / "scenario.yaml", seed, attempt)
    if ended.exit_code not in (0, 1, 3):
        print(f"{directory.name}: exit {ended.exit_code}: {ended.stderr[-300:]}", file=sys.stderr)
        return False
    (directory / "done").write_text(json.dumps({"run": str(attempt)}))
    return True


def ordered(equal: int, slower: int) -> list[tuple[str, int]]:
    """Names and seeds: a slower pair after every few equal ones, so that what is broken off has both."""
    share = max(1, equal // max(1, slower))
    pairs = [(n // share, f"equal-{n:02}", n) for n in range(equal)] + [(n, f"slower-{n:02}", 100 + n) for n in range(slower)]
    return [(name, seed) for _, name, seed in sorted(pairs)]


def made(out: Path) -> Iterator[Pair]:
    for mark in sorted(out.glob("*/done")):
        yield pair(Path(json.loads(mark.read_text())["run"]), mark.parent.name.startswith("slower"))


def typical_ms(out: Path) -> float:
    """The median latency of the base in the newest equal pair: the machine may be another one an hour later."""
    newest = max(out.glob("equal-*/done"), key=lambda mark: mark.stat().st_mtime)
    return float(np.median(pair(Path(json.loads(newest.read_text())["run"]), slower=False).base.latency_s)) * 1000.0


def table(pairs: Sequence[Pair]) -> list[str]:
    equal = [p for p in pairs if not p.slower]
    limits = _limits(equal) if equal else None
    lines = [f"{'pairs':<10}{'n':>4}{'FAIL':>7}{'PASS':>7}{'INC.':>7}  |{'Mann-Whitney':>13}{'k6':>6}{'pytest-b.':>10}"]
    for name, chosen in (("equal", equal), ("slower", [p for p in pairs if p.slower])):
        told = Counter(p.verdict for p in chosen)
        others = [
            sum(other_gates.kayenta(p.base, p.candidate) for p in chosen),
            sum(other_gates.k6(p.candidate, limits) for p in chosen) if limits else 0,
            sum(other_gates.pytest_benchmark(p.base, p.candidate) for p in chosen),
        ]
        ours = f"{told['FAIL']:>7}{told['PASS']:>7}{told['INCONCLUSIVE']:>7}"
        lines.append(f"{name:<10}{len(chosen):>4}{ours}  |{others[0]:>13}{others[1]:>6}{others[2]:>10}")
    return lines


def _limits(equal: Sequence[Pair]) -> tuple[float, float, float]:
    """Half-way from what the first equal pair showed to what is to be found: as one sets a threshold from the last good run."""
    first = equal[0].base
    p95_s = float(np.quantile(first.latency_s, 0.95)) * (1 + SLOWER / 2)
    return (p95_s, float(np.mean(first.available)) - 0.005, float(np.mean(first.recall)) - 0.025)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/real-ab"))
    parser.add_argument("--equal", type=int, default=30)
    parser.add_argument("--slower", type=int, default=10)
    parser.add_argument("--rate", type=int, default=25, help="requests a second; fewer where two stacks would saturate the machine")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--minutes", type=float, default=1e9)
    asked = parser.parse_args(argv)
    out, end_s = asked.out.resolve(), time.monotonic() + asked.minutes * 60.0
    for name, seed in ordered(asked.equal, asked.slower):
        if time.monotonic() > end_s:
            break
        slower = name.startswith("slower")
        delay_ms = SLOWER * typical_ms(out) if slower and not (out / name / "done").exists() else None
        carry_out(out / name, (asked.rate, asked.seconds), seed, delay_ms)
    pairs = list(made(out))
    print("\n".join([*table(pairs), *(f"{p.directory.parent.parent.parent.name}: {p.verdict}: {p.reason}" for p in pairs)]))
    equal, found = [p for p in pairs if not p.slower], [p for p in pairs if p.slower]
    false = sum(p.verdict == "FAIL" for p in equal)
    return 1 if false > MOST_FALSE_OF_30 * max(1.0, len(equal) / 30) or any(p.verdict != "FAIL" for p in found) else 0


if __name__ == "__main__":
    sys.exit(main())
