"""Files of pytest-benchmark by the same statistics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from harness.record.store import RecordError
from harness.scenario.comparison import Metric
from harness.score.check import Status
from harness.score.compare import Compared
from harness.score.timings import TimingFile, compare_files, compare_turns

ALLOWED = Metric(worse_by="10%")
MACHINE: dict[str, Any] = {"node": "n", "machine": "x86_64", "processor": "", "python_version": "3.11.2", "cpu": {"brand_raw": "A"}}


def file(at: str, machine: dict[str, Any] | None = None, **benchmarks: Any) -> TimingFile:
    found = [{"fullname": name, "stats": {"data": None if data is None else list(data)}} for name, data in benchmarks.items()]
    document = {"machine_info": machine or MACHINE, "commit_info": {"id": "c" * 40}, "datetime": at, "benchmarks": found}
    return TimingFile.parse(json.dumps(document), f"{at}.json")


def rounds(seed: int, count: int = 600, slower: float = 1.0, spread: float = 0.1) -> Any:
    return 0.01 * slower * np.random.default_rng(seed).lognormal(0.0, spread, count)


def one(base: TimingFile, candidate: TimingFile) -> Compared:
    (found,) = compare_files(base, candidate, ALLOWED)
    return found


def test_equal_rounds_pass_and_slower_ones_fail() -> None:
    assert one(file("1", a=rounds(1)), file("2", a=rounds(2))).result.status is Status.PASS
    slow = one(file("1", a=rounds(1)), file("2", a=rounds(3, slower=1.15)))
    assert slow.result.status is Status.FAIL
    assert slow.effect == pytest.approx(0.15, abs=0.03)


def test_few_rounds_tell_nothing() -> None:
    found = one(file("1", a=rounds(1, 20)), file("2", a=rounds(2, 20, slower=2.0)))
    assert (found.result.status, "59 on each side" in found.result.reason) == (Status.INCONCLUSIVE, True)


def test_a_file_without_rounds_tells_nothing() -> None:
    assert one(file("1", a=rounds(1)), file("2", a=None)).result.status is Status.INCONCLUSIVE


def test_other_machines_and_absent_benchmarks_are_inconclusive() -> None:
    elsewhere = one(file("1", a=rounds(1)), file("2", {**MACHINE, "node": "m"}, a=rounds(2, slower=2.0)))
    assert (elsewhere.result.status, "node: n, m" in elsewhere.result.reason) == (Status.INCONCLUSIVE, True)
    gone = compare_files(file("1", a=rounds(1), b=rounds(4)), file("2", a=rounds(2)), ALLOWED)
    assert [c.result.status for c in gone] == [Status.PASS, Status.INCONCLUSIVE]
    assert "2.json has no benchmark of this name" in gone[1].result.reason


def test_a_file_against_itself_is_no_comparison() -> None:
    assert one(file("1", a=rounds(1)), file("2", a=rounds(1))).result.status is Status.INCONCLUSIVE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"benchmarks": [{}]}', '{"machine_info": 1, "benchmarks": []}'])
def test_anything_else_is_one_clear_error(text: str) -> None:
    with pytest.raises(RecordError, match=r"a\.json: no file of pytest-benchmark"):
        TimingFile.parse(text, "a.json")


def test_a_negative_duration_is_none() -> None:
    with pytest.raises(RecordError, match="no durations"):
        file("1", a=[-1.0])


def in_turn(slower: float, *, wander: float = 0.0, turns: int = 6, seed: int = 1) -> Compared:
    """Both sides of a turn are moved by what the machine does in it."""
    luck = np.random.default_rng(seed).normal(0.0, wander, turns)
    sides = [
        [file(f"{side}-{n}", a=rounds(100 * n + k, 120, worse * (1.0 + luck[n]))) for n in range(turns)]
        for k, (side, worse) in enumerate((("base", 1.0), ("candidate", slower)))
    ]
    (found,) = compare_turns(list(zip(*sides, strict=True)), ALLOWED)
    return found


def test_in_turn_what_moves_both_is_nobodys_fault() -> None:
    """A machine that is a third slower in one turn than in the next: one file after the other could not tell."""
    assert in_turn(1.0, wander=0.3).result.status is Status.PASS
    slow = in_turn(1.25, wander=0.3)
    assert slow.result.status is Status.FAIL and slow.effect == pytest.approx(0.25, abs=0.05)


def test_too_few_turns_tell_nothing() -> None:
    assert in_turn(2.0, turns=4).result.status is Status.INCONCLUSIVE


def test_a_benchmark_that_one_turn_lacks_is_not_compared() -> None:
    pairs = [
        (file(f"b{n}", a=rounds(n), b=rounds(n + 50)), file(f"c{n}", a=rounds(n + 100), **({"b": rounds(n)} if n else {})))
        for n in range(6)
    ]
    assert [(c.result.name, c.result.status) for c in compare_turns(pairs, ALLOWED)] == [
        ("compare.a", Status.PASS),
        ("compare.b", Status.INCONCLUSIVE),
    ]
