"""What keeps a run from starting is said in one line and exit code 4, not as a defect of the harness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import run
from harness.faults.base import FaultError
from harness.inbox.server import InboxError
from harness.lifecycle.batch import Batch
from harness.lifecycle.exit_codes import NOT_STARTED
from harness.lifecycle.oncall import OnCallError
from harness.stack.base import StackError

SCENARIO = next(iter(sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))))


@pytest.mark.parametrize("kind", [StackError, InboxError, OnCallError, FaultError])
def test_a_run_that_does_not_start(kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(*_args: Any) -> run.Finished:
        raise kind("for a reason")

    said: list[str] = []
    monkeypatch.setattr(run, "execute", execute)
    batch = Batch(out=tmp_path, stack=None, seed=None, repeat=1, strict=False, quiet=True, argv=())
    (outcome,) = batch.carry_out([SCENARIO], said.append)
    assert (outcome.exit_code, outcome.document["reason"]) == (NOT_STARTED, "for a reason")
    assert said[-1] == f"{SCENARIO}: did not start: for a reason"
