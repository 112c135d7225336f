"""The faults that the mock provider can play, by type, in `FAULTS`."""

from mocks.llm.faults.catalogue import FAULTS

__all__ = ["FAULTS"]
