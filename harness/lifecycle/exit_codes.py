"""Exit codes of every command."""

from __future__ import annotations

from collections.abc import Iterable

OK, FAILED, USAGE, INCONCLUSIVE, NOT_STARTED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
_WORST_FIRST = (INTERRUPTED, INTERNAL, USAGE, NOT_STARTED, FAILED, INCONCLUSIVE, OK)


def worst(codes: Iterable[int]) -> int:
    """The exit code of several files."""
    return min(codes, key=_WORST_FIRST.index, default=OK)
