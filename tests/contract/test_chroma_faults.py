"""The faults of a vector store on the other product: the catalogue's contract is proved on Qdrant's interface, this on Chroma's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.faults.vector import FAULTS
from tests.contract.small_stack import SmallStack
from tests.contract.test_faults import evidence_of, make_as_used
from tests.contract.traffic import traffic

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    """One whose store speaks as Chroma does, with two callers."""
    stack = SmallStack(tmp_path_factory.mktemp("chroma"), "chroma")
    stack.start()
    try:
        with traffic(stack, ("store", "store")):
            yield stack
    finally:
        stack.stop()


@pytest.mark.parametrize("name", [kind.spec.name for kind in FAULTS])
def test_it_bites_and_goes(chroma: SmallStack, name: str) -> None:
    fault = make_as_used(name, chroma)
    assert evidence_of(fault.gone, "gone before it was injected")
    fault.inject()
    try:
        assert evidence_of(fault.verify, "it bites")
        assert fault.gone() is None, "it is there"
    finally:
        fault.heal()
    assert evidence_of(fault.gone, "gone")
