"""Scores of every detector on labelled series of many families.

    python -m tests.benchmarks.detection [--seed 1] [--each 1] [--detector NAME …] [--leave-one-out]

AUC-PR by points and VUS-PR per family; then the NAB score (standard profile, one threshold for all series) and false alarms per 1 000
points of the controls at that threshold. `record` and `gaussian` are rivals, written beside this script. With --leave-one-out the constants
of the default detector are varied, and for each family those are taken that are best on all *other* families.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.ops.monitoring.detectors import ensemble, registry, tail
from harness.ops.monitoring.detectors.base import Detector
from tests.benchmarks.detection.families import Array, Labelled, series
from tests.benchmarks.detection.measures import Alarms, alarms, average_precision, vus_pr
from tests.benchmarks.detection.public import public_series
from tests.benchmarks.detection.rivals import RecordExceedance, WindowedGaussian

RIVALS: Mapping[str, Callable[[], Detector]] = {"record": RecordExceedance, "gaussian": WindowedGaussian}
VARIANTS: Mapping[str, Mapping[tuple[object, str], float]] = {
    "as shipped": {},
    "alarm 0.5": {(ensemble, "_ALARM"): 0.5, (tail, "_HOT"): 0.5},
    "alarm 3": {(ensemble, "_ALARM"): 3.0, (tail, "_HOT"): 3.0},
    "hold 1": {(tail, "_HELD"): 1},
    "hold 150": {(tail, "_HELD"): 150},
    "growth 1.1": {(tail, "_GROWTH"): 1.1},
    "growth 3": {(tail, "_GROWTH"): 3.0},
    "refractory 2 %": {(ensemble, "_REFRACTORY"): 0.02},
    "no afterglow": {(ensemble, "_AFTERGLOW"): 0.0},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one detector made of a corpus; (AUC-PR, VUS-PR) by family."""

    families: Mapping[str, tuple[float, float]]
    alarms: Alarms

    @property
    def mean(self) -> tuple[float, float]:
        """Over families, whatever their number of series."""
        point, ranged = np.mean(list(self.families.values()), axis=0)
        return float(point), float(ranged)


def make(name: str) -> Detector:
    return RIVALS[name]() if name in RIVALS else registry.create(name)


@contextmanager
def constants(variant: str) -> Iterator[None]:
    """The default detector with other constants."""
    changed = {(module, name): getattr(module, name) for module, name in VARIANTS[variant]}
    try:
        for (module, name), value in VARIANTS[variant].items():
            setattr(module, name, value)
        yield
    finally:
        for (module, name), value in changed.items():
            setattr(module, name, value)


def scored(name: str, variant: str, one: Labelled) -> Array:
    with constants(variant):
        detector = make(name)
        return np.array([detector.update(float(i), value) for i, value in enumerate(one.values.tolist())])


def assess(corpus: Sequence[Labelled], name: str, variant: str = "as shipped") -> Outcome:
    with ProcessPoolExecutor() as pool:
        scores = list(pool.map(partial(scored, name, variant), corpus, chunksize=4))
    families = defaultdict(list)
    for one, score in zip(corpus, scores, strict=True):
        if one.label.any():
            longest = max(10, min(one.period, 100) or 30)
            families[one.family].append((average_precision(one.label, score), vus_pr(one.label, score, longest)))
    means = {family: (float(np.mean([a for a, _ in found])), float(np.mean([v for _, v in found]))) for family, found in families.items()}
    return Outcome(means, alarms(corpus, scores))


def table(outcomes: Mapping[str, Outcome]) -> str:
    """Markdown: families down, detectors across; AUC-PR / VUS-PR."""
    names = list(outcomes)
    lines = ["| family | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    families = dict.fromkeys(f for outcome in outcomes.values() for f in outcome.families)
    lines += [f"| {f} | " + " | ".join("{:.2f} / {:.2f}".format(*outcomes[n].families[f]) for n in names) + " |" for f in families]
    lines.append("| **mean of families** | " + " | ".join("{:.3f} / {:.3f}".format(*outcomes[n].mean) for n in names) + " |")
    lines.append("| NAB score | " + " | ".join(f"{outcomes[n].alarms.nab:.1f}" for n in names) + " |")
    lines.append("| false alarms per 1 000 calm points | " + " | ".join(f"{outcomes[n].alarms.false_per_1000:.2f}" for n in names) + " |")
    return "\n".join(lines)


def leave_one_out(corpus: Sequence[Labelled]) -> str:
    """What each family scores with the constants that the other families would choose."""
    outcomes = {variant: assess(corpus, registry.DEFAULT, variant) for variant in VARIANTS}
    lines = ["| family left out | the others choose | AUC-PR + VUS-PR | as shipped |", "|---|---|---|---|"]
    for family in next(iter(outcomes.values())).families:
        others = {v: sum(sum(s) for f, s in o.families.items() if f != family) for v, o in outcomes.items()}
        chosen = max(others, key=lambda v: others[v])
        score, shipped = sum(outcomes[chosen].families[family]) / 2, sum(outcomes["as shipped"].families[family]) / 2
        lines.append(f"| {family} | {chosen} | {score:.3f} | {shipped:.3f} |")
    return "\n".join([table(outcomes), "", *lines])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=1, help="series of every family on every background")
    parser.add_argument("--detector", action="append", choices=[*RIVALS, *registry.names()])
    parser.add_argument("--leave-one-out", action="store_true")
    asked = parser.parse_args(argv)
    corpus = [*series(asked.seed, asked.each), *public_series()]
    print(f"{len(corpus)} series, {sum(len(one.values) for one in corpus)} points, seed {asked.seed}\n")
    if asked.leave_one_out:
        print(leave_one_out(corpus))
    else:
        print(table({name: assess(corpus, name) for name in asked.detector or [*RIVALS, *registry.BUILT_IN]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
