"""Taking back what others may still be at work on: again and again, until nothing more has come."""

from __future__ import annotations

from collections.abc import Callable

from harness.faults.base import FaultError
from harness.record.clock import NS_PER_S, Clock

SETTLES_WITHIN_S = 10.0
POLL_S = 0.1


def until_quiet(act: Callable[[], int], quiet_s: float, clock: Clock, what: str) -> list[int]:
    """Repeat `act` until there has been nothing to do for that long; how much there was, by round.

    Raises FaultError where `what` still comes after SETTLES_WITHIN_S.
    """
    begun_ns = busy_ns = clock.now_ns()
    done: list[int] = []
    while True:
        done.append(act())
        if done[-1]:
            busy_ns = clock.now_ns()
        now_ns = clock.now_ns()
        if now_ns - busy_ns >= quiet_s * NS_PER_S:
            return done
        if now_ns - begun_ns > SETTLES_WITHIN_S * NS_PER_S:
            raise FaultError(f"{what} came back for {SETTLES_WITHIN_S:g} s")
        clock.sleep(POLL_S)
