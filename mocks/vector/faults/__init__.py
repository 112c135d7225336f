"""The faults that the mock vector services can play: `FAULTS` has all of them once this package is imported."""

from mocks.vector.faults import acknowledgement, body, contents, errors, pace, ranking, scores, writes
from mocks.vector.faults.registry import FAULTS

__all__ = ["FAULTS", "acknowledgement", "body", "contents", "errors", "pace", "ranking", "scores", "writes"]
