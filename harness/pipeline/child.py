"""The process of one step: `python -m harness.pipeline.child`, with what it is to do as JSON on its standard input.

It adopts whatever its programs leave behind, so that all of it can be found and ended: when the step has answered, when it was told to
stop and does not within the grace, and when the engine is gone. SIGTERM tells it to stop.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.pipeline import answers, remains
from harness.pipeline.registry import load
from harness.pipeline.secrets import Masks
from harness.pipeline.step import Context, StepResult
from harness.score.check import Status
from harness.sweep import Found

SAYS = "\x1e"
"""Begins a line that is progress (ASCII record separator)."""
GRACE_S = 30.0
"""How long a step may take to clean up once it was told to stop: a scenario heals its faults in that time."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def main() -> int:
    """Carry out one step, and write its answer."""
    task = json.load(sys.stdin)
    _tie_to(task["engine"])
    stop = _Stop(task["engine"], task["grace_s"])
    signal.signal(signal.SIGTERM, stop.ask)
    signal.signal(signal.SIGINT, stop.ask)
    result = _carry_out(task, stop)
    for left in _end_descendants():
        _log(f"could not be ended: {left}")
    _keep(task, result)
    return 0


def _tie_to(engine: int) -> None:
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))  # however the engine ends
    if os.getppid() != engine:
        os.kill(os.getpid(), signal.SIGTERM)


class _Stop:
    """Whether somebody asked to stop. If that is not heeded, everything is ended."""

    def __init__(self, engine: int, grace_s: float) -> None:
        self.asked = threading.Event()
        self._engine = engine
        self._grace_s = grace_s

    def ask(self, *_: object) -> None:
        if os.getppid() != self._engine:
            _let_nobody_listen()
        if not self.asked.is_set():
            self.asked.set()
            timer = threading.Timer(self._grace_s, _give_up)
            timer.daemon = True
            timer.start()


def _let_nobody_listen() -> None:
    """Whoever read the output is gone: writing to it would raise, and keep the step from cleaning up."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _give_up() -> None:
    _log("not over within the grace: ended")
    _end_descendants()
    os.kill(os.getpid(), signal.SIGKILL)


def _end_descendants() -> list[Found]:
    """End what the step started and left; returns what is still there."""
    found = remains.below(os.getpid())
    left = remains.end(found)
    if found:
        _log(f"ended, as the step is over: {', '.join(f'{one.name} ({one.pid})' for one in found)}")
    return left


def _carry_out(task: Mapping[str, Any], stop: _Stop) -> StepResult:
    """Whatever goes wrong with the kind itself is INCONCLUSIVE: it says nothing about the build."""
    try:
        kind = load(task["kind"], task["module"])
        options = kind.options.model_validate(task["with"])
        result = kind.carry_out(options, _context(task, stop))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False, include_input=False))
        return StepResult(Status.INCONCLUSIVE, f"with: {told}")
    except ModuleNotFoundError as error:
        traceback.print_exc()
        return StepResult(Status.INCONCLUSIVE, f"the package {error.name!r} is not installed; docs/pipeline.md says what this kind needs")
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not look like a verdict on the build
        traceback.print_exc()
        return StepResult(Status.INCONCLUSIVE, f"{task['kind']} crashed: {type(error).__name__}: {error}")
    return _believable(result)


def _context(task: Mapping[str, Any], stop: _Stop) -> Context:
    def say(text: str) -> None:
        _log(f"{SAYS}{' '.join(text.split())}")

    return Context(
        directory=Path(task["directory"]),
        root=Path(task["root"]),
        environment=dict(os.environ),
        outputs=task["outputs"],
        say=say,
        stopped=stop.asked.is_set,
    )


def _believable(result: StepResult) -> StepResult:
    """A pass whose evidence is not there is none."""
    absent = [name for name, path in result.evidence.items() if not path.exists()]
    if absent and result.status in (Status.PASS, Status.WARN):
        return StepResult(Status.INCONCLUSIVE, f"its evidence is not there: {', '.join(absent)}", result.findings)
    return result


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _keep(task: Mapping[str, Any], result: StepResult) -> None:
    masks = Masks(task["secrets"])
    removed = masks.files(Path(task["directory"]))
    answer = answers.document(result)
    if removed:
        answer["status"] = Status.FAIL.value
        answer["reason"] = f"a secret was written into {', '.join(path.name for path in removed)}, which was removed"
    answers.write(Path(task["answer"]), masks.data(answer))


if __name__ == "__main__":
    raise SystemExit(main())
