"""Files of pytest-benchmark, judged by the same statistics as requests: each round is a reading, dated by the rounds before it.

A benchmark of one file that the other lacks is INCONCLUSIVE; so is a file from another machine, and one that was saved without its rounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.store import RecordError
from harness.scenario.comparison import Metric
from harness.scenario.slis import SliName
from harness.score import compare
from harness.score.blockwise import MOST_BLOCKS
from harness.score.check import Result, Status
from harness.score.compare import Compared, Measured
from harness.score.sli import Observations
from harness.score.spans import NS_PER_S, Span

_MEDIAN = SliName("median", "latency", "s", "lower", 50.0)
_MACHINE = ("node", "machine", "processor", "cpu", "python_implementation", "python_version")  # what makes two machines the same
_LEAST_ROUNDS = 5  # to a block


@dataclass(frozen=True, slots=True)
class TimingFile:
    """What is used of one file. `rounds` are seconds, by the benchmark's full name, in the order in which they were measured."""

    path: str
    commit: str
    machine: Mapping[str, Any]
    measured: str  # ISO 8601
    rounds: Mapping[str, NDArray[np.float64]]

    @classmethod
    def parse(cls, text: str, path: str) -> TimingFile:
        """Raises RecordError for anything else than pytest-benchmark writes."""
        try:
            document = json.loads(text)
            rounds = {str(b["fullname"]): _rounds(b["stats"]) for b in document["benchmarks"]}
            machine, commit = document["machine_info"], document.get("commit_info") or {}
            return cls(path, str(commit.get("id", "nogit")), _machine(machine), str(document.get("datetime", "")), rounds)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            told = f"{path}: no file of pytest-benchmark ({type(error).__name__}: {error}); write one with --benchmark-json"
            raise RecordError(told) from error


def compare_files(base: TimingFile, candidate: TimingFile, metric: Metric) -> tuple[Compared, ...]:
    """Every benchmark of either file: how much longer its median round takes."""
    names = [*base.rounds, *(name for name in candidate.rounds if name not in base.rounds)]
    shared = [name for name in names if name in base.rounds and name in candidate.rounds]
    judged = compare.judge([_measured(name, base, candidate, metric) for name in shared])
    return _told(names, judged, (base, candidate), _obstacles(base, candidate))


def compare_turns(turns: Sequence[tuple[TimingFile, TimingFile]], metric: Metric) -> tuple[Compared, ...]:
    """The same of two versions that were measured in turn, several times: what moves a turn moves both of its files.

    A turn is a block: rounds of one process share the luck of its memory layout, and are no readings of their own (Mytkowicz et al. 2009).
    """
    files = [file for turn in turns for file in turn]
    names = list(dict.fromkeys(name for file in files for name in file.rounds))
    shared = [name for name in names if all(name in file.rounds for file in files)]
    judged = compare.judge([_in_turn(name, turns, metric) for name in shared])
    return _told(names, judged, files, [told for base, candidate in turns for told in _obstacles(base, candidate)])


def _told(names: Sequence[str], judged: Sequence[Compared], files: Sequence[TimingFile], obstacles: Sequence[str]) -> tuple[Compared, ...]:
    """One for each name: what was judged, or which of the files lacks it; nothing but the obstacles where there are some."""
    by_name = {c.result.name: c for c in judged}
    found = [by_name.get(f"compare.{name}") or _absent(name, next(f for f in files if name not in f.rounds)) for name in names]
    if not obstacles:
        return tuple(found)
    reason = "; ".join(dict.fromkeys(obstacles))
    return tuple(replace(c, result=replace(c.result, status=Status.INCONCLUSIVE, reason=reason)) for c in found)


def _in_turn(name: str, turns: Sequence[tuple[TimingFile, TimingFile]], metric: Metric) -> Measured:
    (before, first), (after, second) = (_dated([turn[side].rounds[name] for turn in turns]) for side in (0, 1))
    return Measured(f"compare.{name}", _MEDIAN, _lenient(metric), before, after, (first, second), "interleaved")


def _measured(name: str, base: TimingFile, candidate: TimingFile, metric: Metric) -> Measured:
    sides = [file.rounds[name] for file in (base, candidate)]
    count = min(MOST_BLOCKS, *(len(side) // _LEAST_ROUNDS for side in sides))
    (before, first), (after, second) = (_dated(_cut(side, count) or [side]) for side in sides)
    order = -1 if candidate.measured < base.measured else 1
    return Measured(f"compare.{name}", _MEDIAN, _lenient(metric), before, after, (first, second), "sequential", order)


def _lenient(metric: Metric) -> Metric:
    return metric.model_copy(update={"must_have_data": False})  # a file may have been saved without its rounds


def _cut(rounds: NDArray[np.float64], count: int) -> list[NDArray[np.float64]]:
    """Into blocks of equally many, in their order."""
    return [rounds[len(rounds) * n // count : len(rounds) * (n + 1) // count] for n in range(count)]


def _dated(blocks: Sequence[NDArray[np.float64]]) -> tuple[Observations, list[Span]]:
    """Rounds in a row, block after block."""
    rounds = np.concatenate([np.zeros(0), *blocks])
    durations = np.rint(rounds * NS_PER_S).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(np.maximum(durations, 1))])
    borders = starts[np.cumsum([0, *map(len, blocks)])]
    return Observations(starts[:-1], durations), [Span(int(a), int(b)) for a, b in pairwise(borders)]


def _rounds(stats: Mapping[str, Any]) -> NDArray[np.float64]:
    """Empty for a file that was saved without them: it then has nothing to say."""
    rounds = np.array(stats.get("data") or [], dtype=np.float64)
    if rounds.ndim != 1 or not bool(np.isfinite(rounds).all()) or bool((rounds < 0).any()):
        raise ValueError("the rounds are no durations")
    return rounds


def _machine(info: Mapping[str, Any]) -> dict[str, Any]:
    cpu = info.get("cpu") or {}
    brand = cpu.get("brand_raw") or cpu.get("brand") if isinstance(cpu, Mapping) else cpu
    return {name: brand if name == "cpu" else info.get(name) for name in _MACHINE}


def _obstacles(base: TimingFile, candidate: TimingFile) -> list[str]:
    differ = [name for name in _MACHINE if base.machine[name] != candidate.machine[name]]
    found = []
    if differ:
        told = "; ".join(f"{name}: {base.machine[name]}, {candidate.machine[name]}" for name in differ)
        found.append(f"they ran on different machines or interpreters ({told})")
    same = base.rounds.keys() == candidate.rounds.keys() and all(np.array_equal(base.rounds[n], candidate.rounds[n]) for n in base.rounds)
    if same and base.rounds:
        found.append("both files hold the same rounds, which have nothing to say about themselves")
    return found


def _absent(name: str, lacking: TimingFile) -> Compared:
    reason = f"{lacking.path} has no benchmark of this name, so nothing was compared"
    return Compared(Result(f"compare.{name}", "compare", Status.INCONCLUSIVE, reason, unit="ratio"))
