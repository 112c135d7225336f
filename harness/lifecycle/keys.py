"""Keys at a live view, without Return, where a person sits at the terminal; `s` ends the run."""

from __future__ import annotations

import codecs
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

STOP_KEY = "s"
_LOOK_EVERY_S = 0.2  # whether the block has ended; a key is read at once


def stop_key() -> AbstractContextManager[bool]:
    """Within the block, STOP_KEY at the terminal is a SIGINT to this process. Nothing where standard input is no terminal of ours."""
    return keys(lambda typed: os.kill(os.getpid(), signal.SIGINT) if STOP_KEY in typed else None)


@contextmanager
def keys(feed: Callable[[str], None]) -> Iterator[bool]:
    """Within the block, what is typed goes to `feed`, in a thread of its own, as it comes: a key, an escape sequence, or what was pasted.

    The block is told whether anybody can type: False where standard input is no terminal of ours.
    """
    terminal = _terminal()
    if terminal is None:
        yield False
        return
    before = termios.tcgetattr(terminal)
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(terminal, ended, feed), name="keys", daemon=True)
    tty.setcbreak(terminal)
    reader.start()
    try:
        yield True
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


def _read(terminal: int, ended: threading.Event, feed: Callable[[str], None]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while not ended.is_set():
        if not select.select([terminal], [], [], _LOOK_EVERY_S)[0]:
            continue
        try:
            typed = os.read(terminal, 64)
        except OSError:
            return  # the terminal is gone
        if not typed:
            return
        feed(decoder.decode(typed))
