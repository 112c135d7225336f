"""A child that ends with its parent, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int) -> Callable[[], None]:
    """For `preexec_fn`: SIGTERM when the thread that starts the child is gone, so that a killed parent leaves none behind."""
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:  # it went in between
            os.kill(os.getpid(), signal.SIGTERM)

    return arrange
