"""What a test could not prove: neither passed nor failed."""

from __future__ import annotations


class InconclusiveError(Exception):
    """The test proves nothing, and the text says why: a fault that hit nobody, a run without a verdict. Reported as an error."""


class CheckFailedError(AssertionError):
    """A check of a run failed. The text is the whole story: no traceback would add to it."""
