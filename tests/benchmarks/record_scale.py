"""What judging costs from ten thousand to ten million requests, and what recording costs the load.

    python -m tests.benchmarks.record_scale [--decades 4 5 6 7] [--dir DIR] [--limit-s 60] [--limit-mb 1000]

Writes synthetic records of a run of 1000 s (with one metric sample to ten requests, and two providers' journals) where DIR holds none yet,
judges each with `gauntlet judge` in a process of its own, and prints seconds, memory, and how they grow. Judging runs on one processor, so
its processor time is what the command takes on a machine that is otherwise idle. Exit 1 when the largest is beyond a limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import recording, synthetic_record
from tests.benchmarks.gauntlet_process import ROOT


@dataclass(frozen=True, slots=True)
class Cost:
    """Of judging one record: wall and processor seconds, and the most memory that was resident."""

    requests: int
    record_mb: float
    wall_s: float
    cpu_s: float
    rss_mb: float


def judge(directory: Path, requests: int) -> Cost:
    """Run the command. Raises RuntimeError when it did not end with a verdict."""
    command = [sys.executable, "-m", "harness.cli", "judge", str(directory), "--json"]
    start_s = time.monotonic()
    with Path(os.devnull).open("w") as nowhere:
        actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        pid = os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": str(ROOT)}, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    wall_s = time.monotonic() - start_s
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return Cost(requests, size / 1e6, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def table(costs: Sequence[Cost]) -> str:
    """Markdown. Growth is that of the processor time from one line to the next over that of the requests: 1 is linear."""
    lines = ["| requests | record | wall | processor | memory | growth |", "|---|---|---|---|---|---|"]
    for before, cost in zip((None, *costs), costs, strict=False):
        growth = f"{(cost.cpu_s / before.cpu_s) / (cost.requests / before.requests):.2f}" if before else ""
        cells = (f"{cost.record_mb:,.0f} MB", f"{cost.wall_s:.1f} s", f"{cost.cpu_s:.1f} s", f"{cost.rss_mb:.0f} MB", growth)
        lines.append(f"| {cost.requests:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Write, judge, print, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decades", type=int, nargs="+", default=[4, 5, 6, 7], metavar="N", help="powers of ten (default: 4 5 6 7)")
    parser.add_argument("--dir", type=Path, help="records are kept there, and used again")
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--limit-mb", type=float, default=1000.0)
    parser.add_argument("--load-s", type=float, default=30.0, help="length of the load with and without its record; 0: leave it out")
    asked = parser.parse_args(argv)
    costs = []
    with ExitStack() as stack:
        place = asked.dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for requests in (10**power for power in sorted(asked.decades)):
            directory = place / f"requests-{requests}"
            if not (directory / "written").exists():
                synthetic_record.write(directory, requests, requests // 10)
                (directory / "written").touch()
            costs.append(judge(directory, requests))
            print(table(costs).splitlines()[-1], file=sys.stderr)
    print(table(costs))
    if asked.load_s > 0:
        print(f"\n{recording.told(recording.measure(asked.load_s, 200.0))}")
    return 0 if costs[-1].wall_s <= asked.limit_s and costs[-1].rss_mb <= asked.limit_mb else 1


if __name__ == "__main__":
    sys.exit(main())
