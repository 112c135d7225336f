from __future__ import annotations

import graphlib
import threading
from functools import partial

import pytest

from harness.stack.start_order import Step, run_steps


def ignore() -> None:
    pass


def test_every_step_waits_for_its_own_and_runs_once() -> None:
    done: list[str] = []
    lock = threading.Lock()

    def step(name: str, *after: str) -> Step:
        def run() -> None:
            with lock:
                assert set(after) <= set(done)
                done.append(name)

        return Step(name, run, after)

    steps = [step("gateway", "query"), step("query", "a", "b"), step("b", "data"), step("a", "data"), step("data")]
    run_steps(steps, 4, ignore)
    assert sorted(done) == ["a", "b", "data", "gateway", "query"]


def test_steps_run_at_once_as_far_as_allowed() -> None:
    together = threading.Barrier(3)
    run_steps([Step(str(n), lambda: (together.wait(60), None)[1]) for n in range(3)], 3, ignore)


def test_with_one_at_a_time_earlier_steps_go_first() -> None:
    done: list[str] = []
    run_steps([Step(name, partial(done.append, name)) for name in "cab"], 1, ignore)
    assert done == ["c", "a", "b"]


def test_a_failure_gives_up_lets_running_steps_end_and_starts_no_other() -> None:
    given_up = threading.Event()
    ran: list[str] = []

    def wait() -> None:
        assert given_up.wait(60)
        ran.append("running step ended")

    def fail() -> None:
        raise RuntimeError("no")

    steps = [Step("waits", wait), Step("fails", fail), Step("later", lambda: ran.append("later"), after=("fails",))]
    with pytest.raises(RuntimeError, match="no"):
        run_steps(steps, 2, given_up.set)
    assert ran == ["running step ended"]


def test_a_circle_is_an_error_before_anything_runs() -> None:
    with pytest.raises(graphlib.CycleError):
        run_steps([Step("a", ignore, after=("b",)), Step("b", ignore, after=("a",))], 2, ignore)
