"""What is so of every fault that a mock plays by itself, beyond what all faults keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.small_stack import SmallStack
from tests.contract.test_faults import make
from tests.contract.uses import USES


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    """A stack that nobody uses."""
    stack = SmallStack(tmp_path_factory.mktemp("quiet"))
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


@pytest.mark.parametrize("name", [name for name in sorted(USES) if USES[name].mock])
def test_a_fault_that_nobody_else_meets_has_no_effect(quiet: SmallStack, name: str) -> None:
    fault = make(name, quiet)
    fault.inject()
    try:
        assert [fault.verify() for _ in range(2)] == [None] * 2
    finally:
        fault.heal()
    assert fault.gone()
