"""How long requests took, and what within them did: the readings of every SLI that is a percentile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.pieces import Rows
from harness.record.requests import Outcome
from harness.score.context import Context


def _latency(rows: Rows, _context: Context) -> tuple[Rows, NDArray[Any]]:
    return rows, rows["end_ns"] - rows["intended_ns"]


def _ttft(rows: Rows, context: Context) -> tuple[Rows, NDArray[Any]]:
    """To the first content; an answer that never had any counts with its full duration."""
    rows = context.counted(rows, "ttft")
    return rows, np.where(rows["first_ns"] > 0, rows["first_ns"], rows["end_ns"]) - rows["intended_ns"]


def _tpot(rows: Rows, context: Context) -> tuple[Rows, NDArray[Any]]:
    """(last - first content) / (n - 1), n tokens by `usage` or else chunks; undefined for n <= 1, and then left out rather than 0.

    A timeout counts with all the time until it was given up.
    """
    rows = context.counted(rows, "tpot")
    late = rows["outcome"] == Outcome.TIMEOUT
    n = np.where(rows["tokens"] > 0, rows["tokens"], rows["chunks"]).astype(np.int64)
    defined = late | (n > 1)
    rows, late, n = rows[defined], late[defined], n[defined]
    began = np.where(rows["first_ns"] > 0, rows["first_ns"], rows["intended_ns"])
    ended = np.where(late, rows["end_ns"], rows["last_ns"])
    return rows, (ended - began) // np.maximum(n - 1, 1)


def _itl(rows: Rows, context: Context) -> tuple[Rows, NDArray[Any]]:
    """Every gap between two content chunks, at the intended start of its answer; the silence that a timeout ended in is one, too."""
    rows = context.counted(rows, "itl")
    known = context.gaps.rows
    first = np.searchsorted(known["seq"], rows["seq"], side="left")
    counts = np.searchsorted(known["seq"], rows["seq"], side="right") - first
    places = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    gaps_ns = known["gap_us"][places].astype(np.int64) * 1000
    late = rows[rows["outcome"] == Outcome.TIMEOUT]
    heard_ns = np.where(late["last_ns"] > 0, late["last_ns"], late["intended_ns"])
    owners = np.concatenate([np.repeat(rows[["seq", "intended_ns"]], counts), late[["seq", "intended_ns"]]])
    return owners, np.concatenate([gaps_ns, late["end_ns"] - heard_ns])


def _max_gap(rows: Rows, context: Context) -> tuple[Rows, NDArray[Any]]:
    """The longest silence between two pieces of content; of a timeout, also the one that it ended in."""
    rows = context.counted(rows, "max_gap")
    late = rows["outcome"] == Outcome.TIMEOUT
    heard_ns = np.where(rows["last_ns"] > 0, rows["last_ns"], rows["intended_ns"])
    silence_ns = np.where(late, np.maximum(rows["max_gap_ns"], rows["end_ns"] - heard_ns), rows["max_gap_ns"])
    defined = late | (rows["chunks"] > 1)
    return rows[defined], silence_ns[defined]


DURATIONS: dict[str, Callable[[Rows, Context], tuple[Rows, NDArray[Any]]]] = {
    "latency": _latency,
    "ttft": _ttft,
    "tpot": _tpot,
    "itl": _itl,
    "max_gap": _max_gap,
}
"""By family of SLI: the rows that have one, and how long each took, in nanoseconds."""
