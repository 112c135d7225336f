"""What a metric measures, told by its name: the usual names of exporters, meshes, runtimes and published incident collections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Direction = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """`kind` is the fault that a shift in the direction `bad` speaks for, or None; `weight` how directly it points at its service.

    `travels` says that callers show it too, when the cause lies beneath them. `with_load` is by how much of itself it may
    grow, by nature, when the load doubles.
    """

    group: str
    kind: str | None
    bad: Direction
    weight: float
    travels: bool = False
    with_load: float = 0.0


_OTHER = Meaning("other", None, "both", 0.3)
# The first match wins.
_MEANINGS: tuple[tuple[str, Meaning], ...] = (
    (r"\b(up|ready|available|healthy|alive)\b|replicas", Meaning("up", "crash", "down", 1.0)),
    (r"restart|oom[ _-]?kill|crash", Meaning("restarts", "crash", "up", 1.0)),
    (r"429|rate[ _-]?limit|too[ _-]?many", Meaning("rate_limit", "rate_limit", "up", 0.95, travels=True)),
    (r"drop|retrans|packet[ _-]?loss|\bloss\b|rtt|net\w*[ _-]err|(receive|transmit|rx|tx)[ _-]err", Meaning("loss", "network", "up", 1.0)),
    (r"dns|nxdomain|resol(ve|ution)", Meaning("dns", "dns", "up", 1.0)),
    (r"thrott|\bcpu|_cpu|cpu_|load[ _-]?avg|load(1|5|15)\b|processor", Meaning("cpu", "cpu", "up", 1.0, with_load=1.2)),
    (r"mem|heap|\brss\b|working[ _-]?set|\bswap|page[ _-]?fault|\bgc\b|pgfault", Meaning("memory", "memory", "up", 1.0)),
    (
        r"disk|\bfs\b|[_-]fs[_-]|^fs[_-]|filesystem|blkio|iops|\bio\b|io[ _-]?(time|wait|read|write)|(reads|writes)\b|volume|inode",
        Meaning("disk", "disk", "up", 1.0, with_load=1.0),
    ),
    (r"desc|\bfds?\b|open[ _-]?files|socket", Meaning("descriptors", "descriptors", "up", 0.95, with_load=0.4)),
    (
        r"err|5xx|[ _-]50\d|fail|exception|non[ _-]?2xx|abort|status.?5|timeout",
        Meaning("errors", "errors", "up", 0.95, travels=True, with_load=1.2),
    ),
    (
        r"latenc|duration|response[ _-]?time|\brt\b|delay|elapsed|[ _-]p?(50|75|90|95|99|999)\b|seconds[ _-]?(sum|bucket)|[ _-]ms\b",
        Meaning("latency", "latency", "up", 0.9, travels=True, with_load=1.0),
    ),
    (r"queue|backlog|pending|in[ _-]?(progress|flight)|lag\b", Meaning("queue", "latency", "up", 0.7, travels=True, with_load=2.0)),
    (r"pool|connection|thread", Meaning("pool", "pool", "up", 0.6, with_load=1.2)),
    (r"network|\bnet\b|bytes|packet|receive|transmit|[ _-](rx|tx)\b", Meaning("traffic", "network", "both", 0.3, with_load=1.2)),
    (r"workload|\bload\b|request|rps|qps|throughput|traffic|\bops\b|calls|count|rate", Meaning("workload", "errors", "down", 0.25)),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in _MEANINGS)
_COUNTER = re.compile(r"(total|count|sum|bucket)$", re.IGNORECASE)


@lru_cache(maxsize=4096)
def meaning(metric: str) -> Meaning:
    """Of a metric's name, without its service."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", metric)  # camelCase
    return next((found for pattern, found in _PATTERNS if pattern.search(words)), _OTHER)


def may_be_counter(metric: str) -> bool:
    """By its name; whether it is one, its values tell."""
    return bool(_COUNTER.search(metric))
