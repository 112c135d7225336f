"""CPU of everything that a run needs, at 25 requests/s over 20 s: does it leave a third of two cores idle?

    python -m tests.benchmarks.stack_cpu [--out DIR] [--rate 25] [--seconds 20]

Reads the CPU times of every process of the run at the start and at the end of the measured phase. Run it on an otherwise idle machine: on a
busy one the same work is dearer. Exit 1 when less than a third of two cores is left.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.record import events as ev
from harness.record.clock import SystemClock
from harness.record.journal import read_journal
from tests.benchmarks.gauntlet_process import Ended, run_scenario

CORES = 2
IDLE_WANTED = 1 / 3
POLL_S = 0.2
START_WITHIN_S = 90.0
SCENARIO = """\
name: stack-cpu
load: {{shape: [{{constant: {rate:g}/s}}], mix: {{ask: 6, ask_stream: 3, ingest: 1}}}}
phases: {{warmup: 10s, steady_state: {seconds:g}s, cooldown: 5s}}
objectives: {{steady_state: {{availability: ">= 95%"}}}}
"""
PARTS = (
    (re.compile(r"mocks\.rag\.(\w+)"), r"\1"),
    (re.compile(r"mocks\.llm\b"), "llm, llm_fallback"),
    (re.compile(r"postgres"), "postgres"),
    (re.compile(r"valkey|redis"), "cache"),
    (re.compile(r"harness\.load"), "load"),
    (re.compile(r"harness\.ops"), "operator"),
    (re.compile(r"harness\.faults\.(\w+)"), r"\1"),
    (re.compile(r"harness\.cli"), "harness"),
)


@dataclass(frozen=True, slots=True)
class Used:
    """CPU time of one process so far."""

    part: str
    cpu_s: float


Snapshot = Mapping[tuple[int, float], Used]  # by pid and create time


def part_of(command: Sequence[str]) -> str:
    """`retrieval` of `python -m mocks.rag.retrieval`."""
    text = " ".join(command)
    return next((m.expand(name) for pattern, name in PARTS if (m := pattern.search(text))), Path(command[0]).name if command else "other")


def snapshot(root: psutil.Process) -> Snapshot:
    """CPU times of a process and all below it; one that ends meanwhile is left out."""
    found = {}
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
            found[process.pid, process.create_time()] = Used(part_of(process.cmdline()), times.user + times.system)
        except psutil.NoSuchProcess:
            continue
    return found


def by_part(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """CPU seconds used between two snapshots, by part; one that started in between counts from its start."""
    used: dict[str, float] = {}
    for key, now in after.items():
        spent_s = now.cpu_s - (before[key].cpu_s if key in before else 0.0)
        used[now.part] = used.get(now.part, 0.0) + spent_s
    return used


def table(used: Mapping[str, float], wall_s: float) -> str:
    """Markdown: share of one core by part, dearest first, then what is left of two."""
    total_s = sum(used.values())
    lines = ["| part | CPU | of one core |", "|---|---|---|"]
    lines += [f"| {part} | {cpu_s:.2f} s | {cpu_s / wall_s:.1%} |" for part, cpu_s in sorted(used.items(), key=lambda i: -i[1])]
    lines += [f"| **all** | {total_s:.2f} s | {total_s / wall_s:.1%} |", ""]
    return "\n".join([*lines, f"idle: {idle(used, wall_s):.1%} of {CORES} cores over {wall_s:.1f} s"])


def idle(used: Mapping[str, float], wall_s: float) -> float:
    """Share of CORES cores that is left."""
    return 1.0 - sum(used.values()) / (CORES * wall_s)


def measure(out: Path) -> tuple[dict[str, float], float]:
    """Wait for the measured phase of the run that starts under `out`, and read both ends of it. Raises TimeoutError."""
    clock = SystemClock()
    start_ns = _wait_for(out, "start", clock, START_WITHIN_S)
    root = next(p for p in psutil.Process().children() if "harness.cli" in " ".join(p.cmdline()))
    before = snapshot(root)
    end_ns = _wait_for(out, "end", clock, START_WITHIN_S)
    return by_part(before, snapshot(root)), (end_ns - start_ns) / 1e9


def _wait_for(out: Path, state: str, clock: SystemClock, within_s: float) -> int:
    deadline_ns = clock.now_ns() + int(within_s * 1e9)
    while clock.now_ns() < deadline_ns:
        for file in out.glob("stack-cpu/*/events.jsonl"):
            for event in read_journal(file):
                if event.kind == ev.PHASE and (event.data["name"], event.data["state"]) == ("steady_state", state):
                    return event.t_ns
        clock.sleep(POLL_S)
    raise TimeoutError(f"steady_state did not {state} within {within_s:g} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where the run record goes (default: a temporary folder)")
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(tempfile.mkdtemp(dir=asked.out or temporary))
        file = out / "stack-cpu.yaml"
        file.write_text(SCENARIO.format(rate=asked.rate, seconds=asked.seconds), encoding="utf-8")
        measured: list[tuple[dict[str, float], float]] = []
        watcher = threading.Thread(target=lambda: measured.append(measure(out)), daemon=True)
        watcher.start()  # signals are the main thread's, which waits for the run
        ended: Ended = run_scenario(file, 1, out)
        watcher.join(POLL_S * 2)
    if not measured:
        sys.stderr.write(ended.stderr)
        return 1
    used, wall_s = measured[0]
    print(table(used, wall_s))
    return 0 if idle(used, wall_s) >= IDLE_WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
