"""Ranking of causes on generated incidents, with the onset told in time and 60 s late.

    python -m tests.benchmarks.incidents [--seeds 20] [--first-seed 1]

Per fault: AC@1, AC@3, Avg@5 of the service, kind accuracy where the service is right, beside BARO and NSigma; and how often the controls,
in which nothing is wrong, got an answer.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from harness.ops.diagnosis.incident import diagnose
from tests.benchmarks.incidents import rivals
from tests.benchmarks.incidents.generator import CONTROL, FAULTS, KINDS, Case, case

_METHODS = ("gauntlet", "baro", "nsigma")


def rank_of(case_: Case, names: Sequence[str]) -> int:
    """1 is best; 99 where the root is not named."""
    return names.index(case_.root) + 1 if case_.root in names else 99


def row(ranks: Sequence[int]) -> str:
    found = np.array(ranks)
    average = np.mean([(found <= k).mean() for k in range(1, 6)])
    return f"{(found <= 1).mean():.2f} {(found <= 3).mean():.2f} {average:.2f}"


def table(seeds: Sequence[int], late_s: float) -> str:
    lines = [f"| fault, onset {late_s:.0f} s late | gauntlet AC@1 AC@3 Avg@5 | kind | BARO | NSigma |", "|---|---|---|---|---|"]
    everything: dict[str, list[int]] = {m: [] for m in _METHODS}
    kinds: list[bool] = []
    for fault in FAULTS:
        ranks: dict[str, list[int]] = {m: [] for m in _METHODS}
        right = []
        for seed in seeds:
            one = case(seed, fault, late_s)
            causes = diagnose(one.incident)
            ranks["gauntlet"].append(rank_of(one, [c.service for c in causes]))
            ranks["baro"].append(rank_of(one, rivals.baro(one.incident)))
            ranks["nsigma"].append(rank_of(one, rivals.nsigma(one.incident)))
            right += [c.kind in KINDS[fault] for c in causes[:1] if c.service == one.root]
        lines.append(
            f"| {fault} | {row(ranks['gauntlet'])} | {np.mean(right or [0]):.2f} | {row(ranks['baro'])} | {row(ranks['nsigma'])} |"
        )
        kinds += right
        for method in _METHODS:
            everything[method] += ranks[method]
    lines.append(
        "| **all** | " + f"{row(everything['gauntlet'])} | {np.mean(kinds):.2f} | {row(everything['baro'])} | {row(everything['nsigma'])} |"
    )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.incidents", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args(argv)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    begun = time.process_time()
    for late_s in (0.0, 60.0):
        print(table(seeds, late_s), end="\n\n")
    controls = [diagnose(case(seed, CONTROL).incident) for seed in range(asked.first_seed, asked.first_seed + 3 * asked.seeds)]
    named = sum(bool(c) for c in controls)
    print(f"controls with an answer: {named} of {len(controls)}; {time.process_time() - begun:.0f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
