"""One version of a site: a stack under a supervisor process of its own, which outlives whoever deploys, and does what it is told.

`python -m harness.deploy.side` reads its `SideSpec` as JSON from standard input, starts the stack under a lease, writes the side's state
file once it is ready, and ends with the stack at SIGTERM. Killed, its watchdog ends the stack.
"""

from __future__ import annotations

import sys
from pathlib import Path
from secrets import token_hex
from typing import cast

import psutil

from harness.deploy.breaking import Breaking
from harness.deploy.side_api import SideApi
from harness.deploy.side_spec import SideSpec, write_private
from harness.lifecycle.supervised import Supervision, supervision
from harness.lifecycle.systems import build_stack
from harness.record.clock import SystemClock
from harness.scenario.model import StackSpec
from harness.stack.base import Questioned
from harness.stack.reference import ReferenceStack


def supervise(spec: SideSpec) -> None:
    """From the start of the stack to its end."""
    try:
        with supervision() as mine:
            _serve(spec, mine)
    finally:
        Path(spec.state_file).unlink(missing_ok=True)


def _serve(spec: SideSpec, mine: Supervision) -> None:
    logs = Path(spec.logs)
    logs.mkdir(parents=True, exist_ok=True)
    stack = cast(
        ReferenceStack,  # others are refused when the file is read
        build_stack(
            StackSpec.model_validate(dict(spec.stack)),
            run_id=mine.run_id,
            work_dir=mine.work_dir / "stack",
            logs_dir=logs,
            seed=spec.seed,
            environment=spec.environment,
            version=spec.version,
            side=spec.name,
            api_key=spec.api_key,
        ),
    )
    breaking = Breaking(stack, mine.lease, mine.run_id, SystemClock())
    api = SideApi(stack, token_hex(16), breaking)
    try:
        stack.start()
        api.start()
        _write_state(spec, stack, api, mine.run_id)
        mine.ended.wait()
    finally:
        breaking.end()
        api.stop()
        stack.stop()


def _write_state(spec: SideSpec, stack: ReferenceStack, api: SideApi, run_id: str) -> None:
    assert isinstance(stack, Questioned)
    me, documents = psutil.Process(), stack.documents()
    document = {
        "name": spec.name,
        "version": spec.version,
        "run_id": run_id,
        "pid": me.pid,
        "create_time_s": me.create_time(),
        "entry_url": stack.entry_url,
        "api": {"url": api.url, "token": api.token},
        "corpus": str(stack.corpus_path),
        "questions": str(stack.questions_path),
        "preferred_model": stack.preferred_model,
        "database": documents.dsn if documents.points is None else None,
    }
    write_private(Path(spec.state_file), document)


if __name__ == "__main__":
    supervise(SideSpec.from_json(sys.stdin.read()))
