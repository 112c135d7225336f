"""What a run costs beside the scenario's own phases: interpreter, stack start, heal, stop, judge, report.

    python -m tests.benchmarks.overhead --out DIR [--runs 3] [--scenario null] [--limit-s 15]

Runs the scenario where DIR/results.jsonl does not hold enough runs of it yet, then prints the table of all recorded runs. Exit 1 when one
took longer than the limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.benchmarks.gauntlet_process import INTERRUPTED
from tests.benchmarks.rows import Row, read_rows
from tests.benchmarks.scenario_table import carry_out, scenario_files


def table(rows: Sequence[Row]) -> str:
    """Markdown: one line a run that played its phases, then the median and the largest."""
    lines = ["| scenario | seed | wall | phases | overhead | start | stop | rest |", "|---|---|---|---|---|---|---|---|"]
    overheads = []
    for one in rows:
        spent = one.spent
        if spent.overhead_s is None or spent.start_s is None or spent.stop_s is None:
            continue
        overheads.append(spent.overhead_s)
        rest_s = spent.overhead_s - spent.start_s - spent.stop_s
        cells = (spent.wall_s, spent.phases_s, spent.overhead_s, spent.start_s, spent.stop_s, rest_s)
        lines.append(f"| {one.scenario} | {one.seed} | " + " | ".join(f"{cell:.1f} s" for cell in cells) + " |")
    if overheads:
        lines += ["", f"overhead: median {median(overheads):.1f} s, largest {max(overheads):.1f} s, n={len(overheads)}"]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print, compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="run records and results.jsonl go here, or lie here")
    parser.add_argument("--runs", type=int, default=3, help="runs that are wanted; 0: only those recorded (default: 3)")
    parser.add_argument("--scenario", default="null")
    parser.add_argument("--limit-s", type=float, default=15.0)
    asked = parser.parse_args(argv)
    results = asked.out / "results.jsonl"
    if not carry_out(scenario_files([asked.scenario]), range(1, asked.runs + 1), asked.out, results):
        return INTERRUPTED
    rows = read_rows(results)
    print(table(rows))
    overheads = [r.spent.overhead_s for r in rows if r.spent.overhead_s is not None]
    return 0 if overheads and max(overheads) <= asked.limit_s else 1


if __name__ == "__main__":
    sys.exit(main())
