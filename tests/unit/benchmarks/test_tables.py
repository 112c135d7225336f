"""What the other benchmarks print, from figures written by hand."""

from __future__ import annotations

from tests.benchmarks import overhead, stack_cpu
from tests.benchmarks.rows import Row, Spent
from tests.benchmarks.stack_cpu import Used, by_part, part_of


def test_overhead_is_what_is_not_the_scenarios_own_time() -> None:
    played = Row("null", 1, "PASS", 0, "", (), True, (), 0, (), Spent(70.0, 60.0, 5.5, 3.0))
    dead = Row("null", 2, None, 4, "", (), False, (), 0, (), Spent(3.0, None, None, None))
    assert overhead.table([played, dead]).splitlines()[2:] == [
        "| null | 1 | 70.0 s | 60.0 s | 10.0 s | 5.5 s | 3.0 s | 1.5 s |",
        "",
        "overhead: median 10.0 s, largest 10.0 s, n=1",
    ]


def test_cpu_is_counted_by_part_and_from_the_first_look() -> None:
    before = {(1, 0.0): Used("retrieval", 2.0), (2, 0.0): Used("retrieval", 1.0)}
    after = {
        (1, 0.0): Used("retrieval", 3.0),
        (2, 0.0): Used("retrieval", 3.0),
        (3, 9.0): Used("postgres", 0.5),
        (2, 9.0): Used("load", 4.5),
    }
    used = by_part(before, after)
    assert used == {"retrieval": 3.0, "postgres": 0.5, "load": 4.5}
    assert stack_cpu.table(used, 10.0).splitlines()[2:] == [
        "| load | 4.50 s | 45.0% |",
        "| retrieval | 3.00 s | 30.0% |",
        "| postgres | 0.50 s | 5.0% |",
        "| **all** | 8.00 s | 80.0% |",
        "",
        "idle: 60.0% of 2 cores over 10.0 s",
    ]


def test_processes_are_named_by_what_they_run() -> None:
    commands = {
        "retrieval": ["/x/python", "-m", "mocks.rag.retrieval"],
        "llm, llm_fallback": ["python", "-m", "mocks.llm"],
        "postgres": ["postgres: app app 127.0.0.1(40000) idle"],
        "cache": ["/x/valkey-server", "127.0.0.1:4000"],
        "load": ["python", "-m", "harness.load.users", "plan.json"],
        "watchdog": ["python", "-m", "harness.faults.watchdog"],
        "harness": ["python", "-m", "harness.cli", "run"],
        "sleep": ["/bin/sleep", "1"],
    }
    assert {part_of(command) for command in commands.values()} == set(commands)
