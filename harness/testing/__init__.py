"""Test tools that are part of the public API. The pytest plug-in is `harness.testing.plugin` (docs/pytest.md)."""

from harness.testing.clock import FakeClock as FakeClock
from harness.testing.proof import InconclusiveError as InconclusiveError

__all__ = ["FakeClock", "InconclusiveError"]
