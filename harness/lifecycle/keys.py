"""The key that ends a run at its live view: `s`, without Return, where a person sits at the terminal."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

STOP_KEY = "s"
_LOOK_EVERY_S = 0.2  # whether the block has ended; a key is read at once


@contextmanager
def stop_key() -> Iterator[None]:
    """Within the block, STOP_KEY at the terminal is a SIGINT to this process. Nothing where standard input is no terminal of ours."""
    terminal = _terminal()
    if terminal is None:
        yield
        return
    before = termios.tcgetattr(terminal)
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(terminal, ended), name="keys", daemon=True)
    tty.setcbreak(terminal)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _terminal() -> int | None:
    """Standard input, where it is a terminal and we are in its foreground: in the background, to set it up would suspend us."""
    try:
        terminal = sys.stdin.fileno()
        return terminal if os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):
        return None


def _read(terminal: int, ended: threading.Event) -> None:
    while not ended.is_set():
        if not select.select([terminal], [], [], _LOOK_EVERY_S)[0]:
            continue
        try:
            typed = os.read(terminal, 64)
        except OSError:
            return  # the terminal is gone
        if not typed:
            return
        if STOP_KEY.encode() in typed:
            os.kill(os.getpid(), signal.SIGINT)
