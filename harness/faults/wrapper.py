"""Starts a command in an unusual way: `python -I wrapper.py slow SECONDS -- COMMAND…`, or `… deaf -- COMMAND…`.

`slow` waits before it becomes the command. `deaf` stays its parent and does not pass on that it is to end (SIGTERM, SIGINT), until SIGUSR1
says that it may; it ends with the command, and the command with it. Of the standard library alone: it may run anywhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence

ENDINGS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


def slow(seconds: float, command: Sequence[str]) -> None:
    """Wait, then become the command."""
    time.sleep(seconds)
    os.execvp(command[0], list(command))


def deaf(command: Sequence[str]) -> int:
    """Run the command, and let nothing that ends this process reach it. Returns its exit status as a shell tells it."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # whatever kills the parent
        for number in ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], list(command))

    def hear(_signal: int, _frame: object) -> None:
        for number in ENDINGS:
            signal.signal(number, lambda received, _: os.kill(child, received))

    signal.signal(signal.SIGUSR1, hear)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def main(argv: Sequence[str]) -> int:
    """As the module says."""
    at = argv.index("--")
    how, command = argv[:at], argv[at + 1 :]
    if how[0] == "slow":
        slow(float(how[1]), command)
    return deaf(command)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
