"""`gauntlet up` and `down`: the stack alone, kept by a supervisor process until it is told to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from harness.lifecycle import standing_stack
from harness.lifecycle.checking import load_checked
from harness.lifecycle.supervised import supervision
from harness.lifecycle.systems import build_stack, front_of
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.scenario.model import StackSpec
from harness.stack.base import StackError

READY_S = 120.0
GONE_S = 20.0
_POLL_S = 0.1


class StandingError(RuntimeError):
    """There is one up already, or none that could be used."""


def state_file() -> Path:
    """One standing stack a user."""
    return Path(tempfile.gettempdir()) / f"gauntlet-up-{os.getuid()}.json"


def bring_up(scenario: Path | None, say: Callable[[str], None], clock: Clock | None = None) -> dict[str, Any]:
    """Start the supervisor and wait until the stack is ready; returns its description.

    Raises StandingError when one is up already, StackError when it does not start.
    """
    clock = clock or SystemClock()
    if supervisor() is not None:
        raise StandingError(f"a stack is up already ({state_file()}); end it first: gauntlet down")
    spec = load_checked(scenario)[0].scenario.stack if scenario else StackSpec()
    state_file().unlink(missing_ok=True)
    log = state_file().with_suffix(".log")
    say(f"up: starting; log: {log}")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.lifecycle.standing", spec.model_dump_json()],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        return _await_state(process, log, clock)
    except BaseException:  # Ctrl-C too: what nobody waits for any more must not come up behind our back, where `down` cannot see it
        process.terminate()
        raise


def _await_state(process: subprocess.Popen[bytes], log: Path, clock: Clock) -> dict[str, Any]:
    deadline_ns = clock.now_ns() + round(READY_S * NS_PER_S)
    while clock.now_ns() < deadline_ns:
        if state_file().exists():
            state = dict(json.loads(state_file().read_text(encoding="utf-8")))
            state.pop("stack")  # holds a key that nobody asked for
            return state
        if process.poll() is not None:
            raise StackError(f"the stack did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
        clock.sleep(_POLL_S)
    raise StackError(f"the stack was not ready within {READY_S:g} s; log: {log}")


def take_down() -> bool:
    """End the standing stack; False when none was up."""
    process = supervisor()
    if process is None:
        state_file().unlink(missing_ok=True)
        return False
    process.terminate()
    try:
        process.wait(GONE_S)
    except psutil.TimeoutExpired:
        process.kill()  # the watchdog then takes the stack down
        process.wait(GONE_S)
    state_file().unlink(missing_ok=True)
    return True


def standing_document() -> str | None:
    """The standing stack as a STACK.yaml, for `gauntlet health`; None where none is up."""
    if supervisor() is None:
        return None
    return json.dumps(json.loads(state_file().read_text(encoding="utf-8"))["stack"])


def supervisor() -> psutil.Process | None:
    """The supervisor of the standing stack, if it lives. A file that somebody else has put there names none: we would end what it names."""
    try:
        if state_file().lstat().st_uid != os.getuid():
            return None
        state = json.loads(state_file().read_text(encoding="utf-8"))
        process = psutil.Process(int(state["pid"]))
        same = abs(process.create_time() - float(state["create_time"])) < 1.0
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def supervise(spec: StackSpec) -> None:
    """Start the stack, say so in the state file, wait for a signal, stop it. Leased, so that nothing outlives a killed supervisor."""
    with supervision() as mine:
        logs = mine.work_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        stack = build_stack(spec, run_id=mine.run_id, work_dir=mine.work_dir / "stack", logs_dir=logs)
        try:
            stack.start()
            _write_state(stack, logs)
            mine.ended.wait()
        finally:
            stack.stop()


def _write_state(stack: Any, logs: Path) -> None:
    me, front = psutil.Process(), front_of(stack)
    document = {
        "pid": me.pid,
        "create_time": me.create_time(),
        "entry_url": stack.entry_url,
        **({"users": {"url": front.url, "authority": str(front.authority)}} if front is not None else {}),
        "api_key": stack.api_key,
        "logs": str(logs),
        "stack": standing_stack.document(stack),
        "urls": {i.name: i.url for service in stack.info.services for i in stack.instances(service)},
    }
    part = state_file().with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(document, indent=2), encoding="utf-8")
    part.replace(state_file())


if __name__ == "__main__":
    try:
        supervise(StackSpec.model_validate_json(sys.argv[1]))
    except StackError as error:  # what a stack lacks is no defect of ours
        raise SystemExit(str(error)) from None
