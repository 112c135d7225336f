"""What a point costs: microseconds of CPU per point and series, for every detector; and one second of many series with the default one.

python -m tests.benchmarks.detection.speed [--points 4000] [--series 2000]
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections.abc import Sequence

import numpy as np

from harness.ops.monitoring.detectors import registry
from harness.ops.monitoring.detectors.ensemble import Ensemble


def rhythm(n: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    values: list[float] = (50 + 5 * np.sin(np.arange(n) * 2 * np.pi / 96) + rng.normal(0, 1, n)).tolist()
    return values


def one_series(points: int) -> None:
    print("| detector | us a point, first half | second half | kB of state |\n|---|---|---|---|")
    for name in registry.BUILT_IN:
        detector, cost = registry.create(name), []
        values = rhythm(points, 1)
        for part in (values[: points // 2], values[points // 2 :]):
            begun = time.process_time()
            for i, value in enumerate(part):
                detector.update(float(i), value)
            cost.append(1e6 * (time.process_time() - begun) / len(part))
        print(f"| {name} | {cost[0]:.1f} | {cost[1]:.1f} | {len(pickle.dumps(detector)) / 1e3:.0f} |")


def many_series(series: int, seconds: int = 60, warm: int = 400) -> None:
    """Every series gets a value each second; refits are staggered."""
    fleet = [Ensemble(stagger=i) for i in range(series)]
    columns = [rhythm(warm + seconds, i % 50) for i in range(series)]
    ticks = []
    for second in range(warm + seconds):
        begun = time.process_time()
        for detector, values in zip(fleet, columns, strict=True):
            detector.update(float(second), values[second])
        ticks.append(time.process_time() - begun)
    late = np.array(ticks[warm:])
    print(f"\n{series} series: {late.mean():.3f} s of CPU a second, at most {late.max():.3f}; {1e6 * late.mean() / series:.1f} us a point")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection.speed", description=__doc__)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--series", type=int, default=2000)
    asked = parser.parse_args(argv)
    one_series(asked.points)
    many_series(asked.series)
    return 0


if __name__ == "__main__":
    sys.exit(main())
