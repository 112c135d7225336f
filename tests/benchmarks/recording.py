"""What recording costs the load process itself: the real one, with the record switched on and off every hundred requests.

    python -m tests.benchmarks.recording [--seconds 30] [--rate 200]

One process does both in turn, so that whatever else the machine is doing falls on both alike. Compared is the processor time of a
request: an open model offers the same load however long it takes. Used by record_scale.py.
"""

from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from harness.load.observation import Observation
from harness.load.plan import LoadFiles, build
from harness.load.recorder import Recorder
from harness.scenario.model import LoadSpec
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

BLOCK = 100  # requests between two switches
LOAD = "harness.load.users"


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Processor time of a request with the record over that without it, less one; `interval` holds 95 % of resampled pairs of blocks.

    On a busy machine the interval is wide; `row_us` is not.
    """

    share: float
    interval: tuple[float, float]
    request_us: float
    pairs: int
    row_us: float  # of the recorder alone, frames and CRC and `write` included


class Switch:
    """In place of `Recorder.add`: hands on or drops a whole block of requests, and notes the processor time that passed meanwhile."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._add = Recorder.add
        self._blocks: list[tuple[bool, float]] = []
        self._on, self._count, self._since_s = True, 0, time.process_time()

    def add(self, recorder: Recorder, observation: Observation) -> None:
        if self._on:
            self._add(recorder, observation)
        self._count += 1
        if self._count == BLOCK:
            if self._on:
                recorder.flush()  # within its own block
            now_s = time.process_time()
            self._blocks.append((self._on, now_s - self._since_s))
            self._told.write_text(json.dumps(self._blocks))
            # On, off, off, on: a drift of the machine cancels out.
            self._on, self._count, self._since_s = len(self._blocks) % 4 in (0, 3), 0, time.process_time()


def measure(seconds: float, rate: float) -> Slowdown:
    """Run the load against a small local service."""
    with tempfile.TemporaryDirectory() as name, Target().running() as target:
        directory = Path(name)
        (directory / "requests").mkdir()
        (directory / "corpus.jsonl").write_text("\n".join(map(json.dumps, doubles.CORPUS)))
        (directory / "questions.jsonl").write_text("\n".join(map(json.dumps, doubles.QUESTIONS)))
        files = LoadFiles(*(directory / part for part in ("requests", "events-load.jsonl", "questions.jsonl", "corpus.jsonl")))
        spec = LoadSpec.model_validate({"mix": {"ask": 1}, "shape": [{"constant": f"{rate:g}/s"}]})
        plan = build(
            spec, files, run_id="benchmark", duration_s=seconds, seed=5, base_url=target.url, service_urls={}, preferred_model="big"
        )
        (directory / "plan.json").write_text(plan.to_json())
        command = [sys.executable, "-m", "tests.benchmarks.recording", "--child", str(directory)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdout.readline()
            child.stdin.write(json.dumps({"t0_ns": time.monotonic_ns() + 100_000_000}).encode() + b"\n")
            child.stdin.flush()
            child.wait(seconds * 3 + 60)
        return compared(json.loads((directory / "blocks.json").read_text()))


def compared(blocks: Sequence[tuple[bool, float]]) -> Slowdown:
    """From (recorded, seconds) of each block; the first four warm up."""
    pairs = [
        (a[1], b[1]) if a[0] else (b[1], a[1]) for a, b in zip(blocks[4::2], blocks[5::2], strict=False)
    ]  # of neighbours one is on, one is off
    on, off = (np.array(side) for side in zip(*pairs, strict=True))
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(pairs), (2000, len(pairs)))
    ratios = np.median(on[drawn] - off[drawn], axis=1) / median(off)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Slowdown(float(np.median(on - off) / median(off)), (float(low), float(high)), median(off) / BLOCK * 1e6, len(pairs), row_us())


def row_us(rows: int = 200_000) -> float:
    """Processor time of one row, alone."""
    with tempfile.TemporaryDirectory() as name:
        recorder = Recorder(Path(name), ("ask",))
        one = Observation(1, 0, 10**12, 3, start_ns=10**12, end_ns=10**12 + 1, sources=[1, 2, 3, 4, 5], citations=[1, 2])
        since_s = time.process_time()
        for _ in range(rows):
            recorder.add(one)
        recorder.close()
        return (time.process_time() - since_s) / rows * 1e6


def _child(directory: Path) -> None:
    switch = Switch(directory / "blocks.json")
    Recorder.add = lambda recorder, observation: switch.add(recorder, observation)  # type: ignore[method-assign,assignment]
    Recorder.show = lambda recorder, count: None  # type: ignore[method-assign,assignment]  # client metrics are no record
    sys.argv = [LOAD, str(directory / "plan.json")]
    runpy.run_module(LOAD, run_name="__main__")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.child is not None:
        _child(asked.child)
        return 0
    print(told(measure(asked.seconds, asked.rate)))
    return 0


def told(found: Slowdown) -> str:
    """One line."""
    low, high = found.interval
    return (
        f"recording adds {found.share:+.2%} to the {found.request_us:.0f} us of processor time that a request takes the load "
        f"(95 % of resampled pairs: {low:+.2%} to {high:+.2%}; {found.pairs} pairs of {BLOCK} requests); "
        f"a row alone takes {found.row_us:.2f} us, which is {found.row_us / found.request_us:.2%}"
    )


if __name__ == "__main__":
    sys.exit(main())
