"""Runs every scenario with several seeds and prints one table of what came out.

    python -m tests.benchmarks.scenario_table --out DIR [--runs 5] [--only NAME …] [--seeds-from 1] [--stack NAME] [--table-only]

Resumable: each run becomes one line of DIR/results.jsonl at once, and a (scenario, seed) that has a line is not run again. Ctrl-C lets the
run in progress put everything back, and records nothing of it. Exit 0: every scenario reached its goal; 1: one did not; 130: interrupted.
Goals: controls (`null*`) pass with no false alarm in every run; the others end as their `expect` says in at least four of five.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.gauntlet_process import INTERRUPTED, ROOT, run_scenario
from tests.benchmarks.rows import Row, read_rows, row

SHARE_WANTED = 0.8
HEAD = ("scenario", "n", "pass", "as expected", "MTTD median", "MTTR median", "false alarms", "overhead median / max", "goal")


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one scenario."""

    scenario: str
    rows: Sequence[Row]

    @property
    def control(self) -> bool:
        return self.scenario.startswith("null")

    @property
    def passed(self) -> int:
        return sum(r.exit_code == 0 for r in self.rows)

    @property
    def as_expected(self) -> int:
        return sum(r.as_expected for r in self.rows)

    @property
    def false_alarms(self) -> int:
        return sum(r.false_alarms for r in self.rows)

    @property
    def reached(self) -> bool:
        if self.control:
            return self.passed == len(self.rows) and self.false_alarms == 0
        return self.as_expected >= SHARE_WANTED * len(self.rows)

    def cells(self) -> tuple[str, ...]:
        n = len(self.rows)
        faults = [f for r in self.rows for f in r.faults]
        overheads = [r.spent.overhead_s for r in self.rows if r.spent.overhead_s is not None]
        return (
            self.scenario,
            str(n),
            f"{self.passed}/{n}",
            f"{self.as_expected}/{n}",
            _median_s(f.alert_s for f in faults),
            _median_s(f.regained_s for f in faults),
            str(self.false_alarms),
            f"{median(overheads):.1f} s / {max(overheads):.1f} s" if overheads else "-",
            "reached" if self.reached else "missed",
        )


def summaries(rows: Iterable[Row]) -> list[Summary]:
    """By scenario, in the order of their names."""
    by_name: dict[str, list[Row]] = {}
    for one in rows:
        by_name.setdefault(one.scenario, []).append(one)
    return [Summary(name, by_name[name]) for name in sorted(by_name)]


def table(rows: Iterable[Row]) -> str:
    """A Markdown table, then one line for each check that did not pass."""
    found = summaries(rows)
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(s.cells()) + " |" for s in found]
    missed = [f"- {r.scenario} seed {r.seed}: {text}" for s in found for r in s.rows for text in r.not_passed or _no_verdict(r)]
    return "\n".join([*lines, *(["", *missed] if missed else [])])


def _no_verdict(one: Row) -> tuple[str, ...]:
    return () if one.verdict else (f"exit {one.exit_code}: {one.reason}",)


def _median_s(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{median(known):.1f} s (n={len(known)})" if known else "-"


def scenario_files(only: Sequence[str]) -> list[Path]:
    """The scenarios of the project that need no swarm, or those of all that were named."""
    found = {path.stem: path for path in sorted((ROOT / "scenarios").glob("*.yaml"))}
    if unknown := set(only) - found.keys():
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    return [path for name, path in found.items() if name in only or (not only and "driver: swarm" not in path.read_text(encoding="utf-8"))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not yet recorded, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="run records and results.jsonl go here")
    parser.add_argument("--runs", type=int, default=5, help="seeds a scenario (default: 5)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seeds-from", type=int, default=1, metavar="N")
    parser.add_argument("--stack", help="processes or containers, whatever the files say; a table of its own each (--out)")
    parser.add_argument("--table-only", action="store_true", help="run nothing")
    asked = parser.parse_args(argv)
    results = asked.out / "results.jsonl"
    files = scenario_files(asked.only)
    seeds = range(asked.seeds_from, asked.seeds_from + asked.runs)
    interrupted = not asked.table_only and not carry_out(files, seeds, asked.out, results, asked.stack)
    rows = [r for r in read_rows(results) if r.scenario in {f.stem for f in files}]
    print(table(rows))
    if interrupted:
        return INTERRUPTED
    return 0 if rows and all(s.reached for s in summaries(rows)) else 1


def carry_out(files: Sequence[Path], seeds: Iterable[int], out: Path, results: Path, stack: str | None = None) -> bool:
    """False when interrupted. One seed of every scenario before the next seed of any: a part of the table is a fair one."""
    out.mkdir(parents=True, exist_ok=True)
    done = {(r.scenario, r.seed) for r in read_rows(results)}
    for seed in seeds:
        for file in files:
            if (file.stem, seed) in done:
                continue
            try:
                ended = run_scenario(file, seed, out, stack)
            except KeyboardInterrupt:
                return False
            one = row(file.stem, seed, ended.exit_code, ended.wall_s, ended.document, ended.stderr)
            with results.open("a", encoding="utf-8") as file_:
                file_.write(json.dumps(one.to_json()) + "\n")
            print(f"{one.scenario} seed {seed}: {one.verdict or 'no verdict'} ({one.exit_code}) {one.reason}", file=sys.stderr, flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
