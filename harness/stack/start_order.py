"""Runs the steps of a start: each as soon as those it waits for are done, several at once, all given up when one fails."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`run` may take its time; it must end early by itself once the start is given up."""

    name: str
    run: Callable[[], None]
    after: tuple[str, ...] = ()


def run_steps(steps: Sequence[Step], at_once: int, give_up: Callable[[], None]) -> None:
    """Run all steps; among those that could run, earlier ones of the sequence go first.

    When one raises (or this thread is interrupted): calls `give_up`, lets running steps end, starts no other, and raises the first error.
    """
    by_name = {step.name: step for step in steps}
    order = graphlib.TopologicalSorter({step.name: step.after for step in steps})
    order.prepare()
    running: dict[Future[None], str] = {}
    waiting: list[str] = []
    rank = {step.name: number for number, step in enumerate(steps)}
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="start") as pool:
        try:
            while order.is_active():
                waiting = sorted([*waiting, *order.get_ready()], key=rank.__getitem__)
                while waiting and len(running) < at_once:
                    name = waiting.pop(0)
                    running[pool.submit(by_name[name].run)] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    order.done(running.pop(future))
        except BaseException:
            give_up()
            raise
