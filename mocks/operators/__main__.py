"""`python -m mocks.operators SCRIPT.json TARGETS.yaml`: play a script, then stay on call until ended."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from threading import Event

from mocks.operators.player import TargetsError, play, read_targets
from mocks.operators.script import ScriptError, load

USAGE = 2


def main(argv: list[str]) -> int:
    """Returns the exit status; SIGTERM ends it with 0, as it does a real operator."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if len(argv) != 2:
        sys.stderr.write("usage: python -m mocks.operators SCRIPT.json TARGETS.yaml\n")
        return USAGE
    try:
        steps, targets = load(Path(argv[0])), read_targets(Path(argv[1]))
        for line in play(steps, targets, stop):
            sys.stderr.write(f"{line}\n")
    except (OSError, ScriptError, TargetsError) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
