"""The start of a stack, which nobody has to wait for who wants to end the run."""

from __future__ import annotations

from harness.faults.play import in_thread
from harness.lifecycle.signals import Interruption
from harness.record.clock import Clock
from harness.stack.base import Stack

POLL_S = 0.02


def start(stack: Stack, interruption: Interruption, clock: Clock) -> bool:
    """Start it and wait until it is ready; False when the run was interrupted meanwhile: it is stopped then. Raises StackError."""
    starting = in_thread(stack.start)
    while not starting.done():
        if interruption.signal is not None:
            stack.stop()
            return False
        clock.sleep(POLL_S)
    starting.result()
    return True
