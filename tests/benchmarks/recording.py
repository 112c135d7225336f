"""What recording costs the load process itself: the real one, with the record switched on and off every second.

    python -m tests.benchmarks.recording [--seconds 30] [--rate 200] [--engine locust] [--rounds 1]

Recording is all that comes of a row: packing it, its frame (CRC and `write` included), and what is counted from it (client metrics,
lateness). One process does both in turn, so that whatever else the machine is doing falls on both alike. Compared is the processor time
of a request: an open model offers the same load however long it takes. Used by record_scale.py.
"""

from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.load.ledger import Ledger
from harness.load.observation import Observation
from harness.load.plan import LoadFiles, build
from harness.load.recorder import Recorder
from harness.scenario.model import LoadSpec
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

MODULES = {"locust": "harness.load.users", "asyncio": "harness.load.asyncio_load"}
PARTS = ("frames", "counts")


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Processor time of a request with the record over that without it, less one; `interval` holds 95 % of resampled pairs of blocks.

    On a busy machine the interval is wide; the `parts` are not, but leave out what recording pushes from the processor's caches.
    """

    share: float
    interval: tuple[float, float]
    request_us: float
    pairs: int
    parts: dict[str, float]  # processor time in each of PARTS over that of requests that were not recorded


@dataclass(slots=True)
class Block:
    """The requests of one second, all of one kind: from one `health` event to the next."""

    on: bool
    requests: int = 0
    cpu_s: float = 0.0
    parts_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    @property
    def request_s(self) -> float:
        return self.cpu_s / self.requests


class Switch:
    """Hands requests on to the recorder or drops them, a whole block at a time, and notes the processor time that passes."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._blocks: list[Block] = []
        self._block, self._since_s = Block(on=True), time.process_time()
        self._within: list[float] = []  # processor time of the calls inside each of those under way

    def install(self) -> None:
        """In this process, for good."""
        add = Recorder.add  # not timed: to read the clock twice takes longer than to append to a list
        Recorder.add = lambda recorder, observation: self._ended(add, recorder, observation)  # type: ignore[method-assign,assignment]
        Recorder.flush = self._timed("frames", Recorder.flush)  # type: ignore[method-assign]
        count = self._timed("counts", Ledger.catch_up)
        Ledger.catch_up = lambda ledger: self._counted(count, ledger)  # type: ignore[method-assign,assignment]

    def _timed(self, part: str, work: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            self._within.append(0.0)
            since_s = time.process_time()
            work(*arguments)
            took_s = time.process_time() - since_s
            self._block.parts_s[part] += took_s - self._within.pop()
            if self._within:
                self._within[-1] += took_s

        return timed

    def _ended(self, add: Callable[..., None], recorder: Recorder, observation: Observation) -> None:
        self._block.requests += 1
        if self._block.on:
            add(recorder, observation)

    def _counted(self, count: Callable[..., None], ledger: Ledger) -> None:
        """Once a second, for the health event: all rows of the block are written and counted within it."""
        count(ledger)
        self._block.cpu_s = time.process_time() - self._since_s
        self._blocks.append(self._block)
        self._told.write_text(json.dumps([asdict(block) for block in self._blocks]))
        # On, off, off, on: a drift of the machine cancels out.
        self._block, self._since_s = Block(on=len(self._blocks) % 4 in (0, 3)), time.process_time()


def measure(seconds: float, rate: float, engine: str = "locust") -> Slowdown:
    """Run the load against a small local service."""
    with tempfile.TemporaryDirectory() as name, Target().running() as target:
        directory = Path(name)
        (directory / "requests").mkdir()
        (directory / "corpus.jsonl").write_text("\n".join(map(json.dumps, doubles.CORPUS)))
        (directory / "questions.jsonl").write_text("\n".join(map(json.dumps, doubles.QUESTIONS)))
        files = LoadFiles(*(directory / part for part in ("requests", "events-load.jsonl", "questions.jsonl", "corpus.jsonl")))
        spec = LoadSpec.model_validate({"mix": {"ask": 1}, "shape": [{"constant": f"{rate:g}/s"}], "engine": engine})
        plan = build(
            spec, files, run_id="benchmark", duration_s=seconds, seed=5, base_url=target.url, service_urls={}, preferred_model="big"
        )
        (directory / "plan.json").write_text(plan.to_json())
        command = [sys.executable, "-m", "tests.benchmarks.recording", "--child", str(directory), "--engine", engine]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdout.readline()
            child.stdin.write(json.dumps({"t0_ns": time.monotonic_ns() + 100_000_000}).encode() + b"\n")
            child.stdin.flush()
            child.wait(seconds * 3 + 60)
        return compared([Block(**one) for one in json.loads((directory / "blocks.json").read_text())])


def compared(blocks: Sequence[Block]) -> Slowdown:
    """Of neighbours one is on, one is off; the first four blocks warm up, and the last one is no whole second."""
    pairs = [(a, b) if a.on else (b, a) for a, b in zip(blocks[4:-1:2], blocks[5:-1:2], strict=False)]
    on, off = (np.array([pair[side].request_s for pair in pairs]) for side in (0, 1))
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(pairs), (2000, len(pairs)))
    ratios = np.median(on[drawn] - off[drawn], axis=1) / np.median(off)
    low, high = np.percentile(ratios, (2.5, 97.5))
    without_s = float(np.median(off))
    parts = {name: float(np.mean([one.parts_s[name] / one.requests for one, _ in pairs])) / float(np.mean(off)) for name in PARTS}
    return Slowdown(float(np.median(on - off)) / without_s, (float(low), float(high)), without_s * 1e6, len(pairs), parts)


def _child(directory: Path, engine: str) -> None:
    Switch(directory / "blocks.json").install()
    sys.argv = [MODULES[engine], str(directory / "plan.json")]
    runpy.run_module(MODULES[engine], run_name="__main__")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--engine", choices=tuple(MODULES), default="locust")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.child is not None:
        _child(asked.child, asked.engine)
        return 0
    for _ in range(asked.rounds):
        print(told(measure(asked.seconds, asked.rate, asked.engine)), flush=True)
    return 0


def told(found: Slowdown) -> str:
    """One line."""
    low, high = found.interval
    return (
        f"recording adds {found.share:+.2%} to the {found.request_us:.0f} us of processor time that a request takes the load "
        f"(95 % of resampled pairs: {low:+.2%} to {high:+.2%}; {found.pairs} pairs of a second); "
        f"by the clock inside it is {sum(found.parts.values()):.2%}: " + ", ".join(f"{n} {part:.2%}" for n, part in found.parts.items())
    )


if __name__ == "__main__":
    sys.exit(main())
