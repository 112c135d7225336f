"""Commands that a scenario names: the only means by which what is not ours may be acted upon."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from harness.stack.base import StackError

TIMEOUT_S = 60.0
SAID_CHARS = 500


def run_named(what: str, argv: Sequence[str]) -> None:
    """Run a command to its end, without a shell. Raises StackError with what it said when it fails or takes too long."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise StackError(f"{what}: {argv[0]} has not ended after {TIMEOUT_S:g} s") from error
    except OSError as error:
        raise StackError(f"{what}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-SAID_CHARS:]
        raise StackError(f"{what}: {argv[0]} ended with {done.returncode} and said: {said}")
