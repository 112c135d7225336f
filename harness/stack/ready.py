"""Readiness as a condition with a deadline; what went wrong is in the message, never only in a log that is gone by then."""

from __future__ import annotations

from collections.abc import Callable

from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.stack.base import StackError

Probe = Callable[[], str | None]
"""One quick look: None when fine, else the reason."""

POLL_S = 0.05


def wait_ready(
    what: str,
    probe: Probe,
    deadline_s: float,
    *,
    alive: Probe = lambda: None,
    log_tail: Callable[[], str] | None = None,
    clock: Clock | None = None,
) -> None:
    """Poll `probe` until it returns None. `alive` says how the process ended, which makes waiting any longer pointless.

    Raises StackError with the last error, the exit and the tail of the log; None: there is none that could be read here.
    """
    tail: Callable[[], str | None] = log_tail or (lambda: None)
    clock = clock or SystemClock()
    end_ns = clock.now_ns() + int(deadline_s * NS_PER_S)
    while True:
        if (ended := alive()) is not None:
            raise StackError(_message(f"{what} ended before it was ready: {ended}", tail()))
        if (reason := probe()) is None:
            return
        if clock.now_ns() >= end_ns:
            raise StackError(_message(f"{what} not ready within {deadline_s:g} s: {reason}", tail()))
        clock.sleep(POLL_S)


def _message(headline: str, tail: str | None) -> str:
    if tail is None:
        return headline
    return f"{headline}\n--- end of its log ---\n{tail.strip()}" if tail.strip() else f"{headline} (its log is empty)"
