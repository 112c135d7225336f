"""How a version of a site is started: by a supervisor of its own, which is told all through a pipe, and is ended where nobody wants it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from harness.deploy.plan import DeployPlan
from harness.deploy.side_spec import SideSpec, write_private
from harness.deploy.standing import Settings, Side, last_words, together
from harness.record.clock import NS_PER_S, Clock
from harness.stack.base import StackError

READY_S = 180.0
_GONE_S = 30.0
_POLL_S = 0.1


def side_spec(name: str, plan: DeployPlan, *, changed: bool, state_file: Path, logs: Path, api_key: str, secrets: Settings) -> SideSpec:
    """What a side is told: the base version, or the `changed` one. `secrets` are variables by service."""
    stack = plan.stack.model_dump(mode="json", exclude_defaults=True)
    if changed and plan.change.replicas:
        stack["replicas"] = {**plan.stack.replicas, **plan.change.replicas}
    return SideSpec(
        name=name,
        version=plan.change.version if changed else plan.base,
        stack=stack,
        state_file=str(state_file),
        logs=str(logs),
        api_key=api_key,
        environment=together(plan.change.environment if changed else {}, secrets),
        seed=plan.seed,
    )


def start_supervisor(spec: SideSpec, note: Path, seen: Callable[[], Side | None], stopped: Callable[[], bool], clock: Clock) -> Side:
    """Returns when it is ready. Raises StackError with its last words; then it has ended.

    `note` is where its process is written down until then, and `seen` what stands, as its state file tells.
    """
    logs = Path(spec.logs)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{spec.name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.deploy.side"], stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True
        )
    write_private(note, {"pid": process.pid, "create_time_s": psutil.Process(process.pid).create_time()})
    assert process.stdin is not None
    try:
        process.stdin.write(spec.to_json().encode())
        process.stdin.close()
        return _ready(spec.name, process, log, seen, stopped, clock)
    except BaseException:  # Ctrl-C too: what nobody waits for any more must not come up behind our back
        process.terminate()
        process.wait(_GONE_S)
        raise
    finally:
        note.unlink(missing_ok=True)


def _ready(
    name: str,
    process: subprocess.Popen[bytes],
    log: Path,
    seen: Callable[[], Side | None],
    stopped: Callable[[], bool],
    clock: Clock,
) -> Side:
    deadline_ns = clock.now_ns() + round(READY_S * NS_PER_S)
    while clock.now_ns() < deadline_ns:
        if (side := seen()) is not None:
            return side
        if process.poll() is not None:
            raise StackError(f"{name} did not start:\n{last_words(log)}")
        if stopped():
            raise StackError(f"{name} was starting, and is not wanted any more")
        clock.sleep(_POLL_S)
    raise StackError(f"{name} was not ready within {READY_S:g} s; log: {log}")
