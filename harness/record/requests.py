"""The raw record of every request, as numpy rows. Times are monotonic nanoseconds; 0 means "never happened".

Definitions follow the reference metrics of LLM serving benchmarks, corrected for coordinated omission: latency and time to first
token are counted from the *intended* start, first token means first non-empty content.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

SOURCES_KEPT = 10
CITATIONS_KEPT = 6
BASE, CANDIDATE = 0, 1  # `side`
NOTHING = -1  # padding of `sources` and `citations`
UNKNOWN_DOCUMENT = -2  # an id that the corpus does not hold


class Outcome(IntEnum):
    """How a request ended. Every outcome keeps its duration."""

    OK = 0
    ERROR = 1
    TIMEOUT = 2
    DROPPED = 3  # never sent: every in-flight slot was held
    REJECTED = 4  # 429 or 503 with Retry-After: the service said no
    TRUNCATED = 5  # 200, but without a finish reason or a complete frame


class Finish(IntEnum):
    """Why the answer ended."""

    NONE = 0
    STOP = 1
    LENGTH = 2
    CONTENT_FILTER = 3
    OTHER = 4


REQUEST = np.dtype(
    [
        ("seq", "<u4"),
        ("journey", "u1"),  # index into the header's `journeys`
        ("outcome", "u1"),
        ("finish", "u1"),
        ("drop_cause", "u1"),  # of a dropped request: 0 the target held every slot, 1 the generator was late
        ("status", "<i2"),  # HTTP status; 0 without an answer
        ("attempts", "<u2"),  # as the service reports them; 0 unknown
        ("intended_ns", "<i8"),
        ("start_ns", "<i8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("end_ns", "<i8"),
        ("max_gap_ns", "<i8"),  # longest gap between two content chunks
        ("chunks", "<u4"),  # content chunks
        ("tokens", "<u4"),  # completion tokens by `usage`; 0 unknown
        ("question", "<i4"),  # id in questions.jsonl; -1 none
        ("canary", "i1"),  # 1 the answer holds the canary, 0 it does not, -1 not asked
        ("refused", "i1"),  # 1 the answer is a refusal, 0 not, -1 no answer
        ("degraded", "i1"),  # the flag in the answer; -1 no answer
        ("preferred", "i1"),  # 1 the preferred path served it, 0 another one did (by the model's own name), -1 unknown
        ("sources", "<i4", (SOURCES_KEPT,)),  # rank order, document numbers of the corpus file
        ("citations", "<i4", (CITATIONS_KEPT,)),
        ("side", "u1"),  # the version that was asked: 0 the base (or the only one), 1 the candidate
    ]
)

REQUEST_DTYPE: np.dtype[Any] = REQUEST
ADDED = frozenset({"side"})  # fields that older segments lack, and for which zero is right then
