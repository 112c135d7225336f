"""What detectors cost: python -m tests.benchmarks.detector_cost [--series N] [--points N] [NAME …] (default: all that are built in).

For each detector: microseconds of processor time a point (median over series, after what it learns first), the same after ten times the
points beside it (1.0: no slower the longer it runs), and the kilobytes that it holds, beside those after ten times as many points (1.0:
bounded). Then N series side by side with the default detector, each with a point a second: the share of one core that they take, and their
memory, at a tenth of N and at N (10.0: linear).
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Sequence
from random import Random

from harness.ops.monitoring.detectors.base import Detector
from harness.ops.monitoring.detectors.registry import BUILT_IN, DEFAULT, create

LIMIT_US = 20.0


def values(n: int, seed: int) -> list[float]:
    """Latencies: a level with noise, and a spike now and then."""
    random = Random(seed)
    return [random.lognormvariate(-2.0, 0.2) * (5.0 if random.random() < 0.002 else 1.0) for _ in range(n)]


def cost_us(detector: Detector, series: Sequence[float], first_s: int) -> float:
    """Mean over the points."""
    begun = time.process_time()
    for n, value in enumerate(series):
        detector.update(float(first_s + n), value)
    return (time.process_time() - begun) / len(series) * 1e6


def held_kb(name: str, series: Sequence[float]) -> float:
    tracemalloc.start()
    detector = create(name)
    for n, value in enumerate(series):
        detector.update(float(n), value)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1024


def one(name: str, points: int) -> str:
    """The line of one detector."""
    early, late = [], []
    for seed in range(3):
        detector, series = create(name), values(11 * points, seed)
        cost_us(detector, series[:points], 0)
        early.append(cost_us(detector, series[points : 2 * points], points))
        cost_us(detector, series[2 * points : 10 * points], 2 * points)
        late.append(cost_us(detector, series[10 * points :], 10 * points))
    each, slower = statistics.median(early), statistics.median(late) / statistics.median(early)
    held, more = held_kb(name, values(points, 9)), held_kb(name, values(10 * points, 9))
    fits = "" if each <= LIMIT_US else f"; {each / LIMIT_US:.1f} x the {LIMIT_US:g} us"
    return f"{name:18s} {each:8.2f} us a point, later {slower:4.2f} x; {held:7.1f} kB, later {more / held:4.2f} x{fits}"


WARM, ROUNDS = 150, 5  # points: what a detector learns first costs less


def share_of_core(series: int) -> float:
    """Of so many series with the default detector, a point each a second."""
    feed = values(WARM + ROUNDS, 1)
    detectors = [create(DEFAULT) for _ in range(series)]
    took = []
    for n, value in enumerate(feed):
        begun = time.process_time()
        for detector in detectors:
            detector.update(float(n), value)
        took.append(time.process_time() - begun)
    return statistics.median(took[WARM:])


def held_mb(series: int) -> float:
    """After a minute."""
    tracemalloc.start()
    detectors = [create(DEFAULT) for _ in range(series)]
    for n, value in enumerate(values(60, 1)):
        for detector in detectors:
            detector.update(float(n), value)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=500)
    asked = parser.parse_args(argv)
    for name in asked.names or BUILT_IN:
        print(one(name, asked.points), flush=True)
    few, many = asked.series // 10, asked.series
    few_s, many_s, few_mb, many_mb = share_of_core(few), share_of_core(many), held_mb(few), held_mb(many)
    print(f"{many} series, a point each a second: {many_s:.0%} of a core, {many_mb:.0f} MB")
    print(f"beside a tenth of them: {many_s / few_s:.1f} x the time, {many_mb / few_mb:.1f} x the memory")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
