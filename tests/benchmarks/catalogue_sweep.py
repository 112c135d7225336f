"""Plays the whole catalogue of faults against the embedded operator, one after another in long runs, and prints what it made of them.

    python -m tests.benchmarks.catalogue_sweep --out DIR [--seeds 3] [--batch 24] [--batches N] [--only FAMILY_OR_FAULT …]
                                               [--arm live|no-recovery] [--calm MINUTES] [--table-only]

Each fault lasts 15 s, and 15 s of recovery follow, in which the harness heals, proves it, and puts the stack back. The order is drawn
with the seed. Resumable: what a run showed becomes lines of DIR/results.jsonl at once, and an (arm, seed, fault) that has one is not
played again; Ctrl-C lets the run in progress put everything back, and keeps nothing of it. `--batches` ends after so many runs.
`--calm` adds runs of ten minutes in which nothing is broken, until there are so many minutes. Faults of the vector store have runs with
one; those of a swarm's nodes are not here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks import catalogue_rows as rows
from tests.benchmarks.catalogue_scenarios import batches, calm, order, scenario
from tests.benchmarks.gauntlet_process import INTERRUPTED, run_scenario

CALM_MINUTES = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Play what is not yet recorded, then print the table. 130: interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=24, help="faults a run (default: 24, which take about 14 minutes)")
    parser.add_argument("--batches", type=int, default=1000, help="runs at most")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAMILY_OR_FAULT")
    parser.add_argument("--arm", choices=("live", "no-recovery"), default="live")
    parser.add_argument("--calm", type=int, default=0, metavar="MINUTES")
    parser.add_argument("--table-only", action="store_true")
    asked = parser.parse_args(argv)
    asked.out.mkdir(parents=True, exist_ok=True)
    results = asked.out / "results.jsonl"
    if not asked.table_only:
        try:
            for played, (seed, text) in enumerate(_texts(asked, results)):
                if played == asked.batches:
                    break
                _play(text, asked.out, results, asked.arm, seed)
        except KeyboardInterrupt:
            print(rows.table(*rows.read(results)))
            return INTERRUPTED
    print(rows.table(*rows.read(results)))
    return 0


def _texts(asked: argparse.Namespace, results: Path) -> Iterator[tuple[int, str]]:
    """(seed, scenario) of each run that is still to be played."""
    runs, faults = rows.read(results)
    done = {(f.arm, f.seed, f.fault) for f in faults}
    for seed in range(1, asked.seeds + 1):
        left = [s for s in order(seed, asked.only) if (asked.arm, seed, s.name) not in done]
        for specs in batches(left, asked.batch):
            yield seed, scenario(f"catalogue-{asked.arm}", specs, recovery=asked.arm == "live")
    watched = sum(r.fault_free_s for r in runs if r.arm == asked.arm) / 60
    for n in range(-(-max(0, round(asked.calm - watched)) // CALM_MINUTES)):
        yield 1000 + n, calm(CALM_MINUTES)


def _play(text: str, out: Path, results: Path, arm: str, seed: int) -> None:
    file = out / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    ended = run_scenario(file, seed, out)
    run_dir = ended.document.get("run_dir")
    if not run_dir:
        raise SystemExit(f"exit {ended.exit_code}: {ended.document.get('reason') or ended.stderr[-2000:]}")
    run, faults = rows.lines_of(Path(run_dir), arm, seed, ended.exit_code)
    rows.write(results, [run, *faults])
    print(f"seed {seed}: {len(faults)} faults, exit {ended.exit_code}, {run_dir}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
