"""What counts as evidence that a process is paused."""

from __future__ import annotations

import os
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.faults.base import Context, Target
from harness.faults.process import NoParameters, ProcessPause
from harness.stack.base import Instance, Stack
from harness.testing import FakeClock


@pytest.mark.parametrize("pid", [None, os.getpid()], ids=["died meanwhile", "runs"])
def test_an_instance_that_does_not_answer_is_not_paused_for_that(pid: int | None) -> None:
    instance = Instance("retrieval", "retrieval-1", "http://127.0.0.1:1", "1", pid)
    stack: Any = SimpleNamespace(instances=lambda service: [instance], probe=lambda instance: "refused")
    fault = ProcessPause(Target("retrieval", "retrieval-1"), NoParameters(), Context(cast(Stack, stack), FakeClock(), Random(1)))
    assert fault.verify() is None
