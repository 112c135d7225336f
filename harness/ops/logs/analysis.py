"""What the logs of some hours say: how much failed, of which type, what was slow, which providers and models did the work."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.ops.logs.entries import BAD, STREAMS, Entry
from harness.ops.monitoring.sketch import Sketch

SLOW_S = 2.0
SLOWEST_KEPT = 20
TYPES_SHOWN = 20
_MOST_KEYS = 1_000
"""Of routes, services, types: a log that makes a new one of every line is told as `(others)` beyond it."""


@dataclass(slots=True)
class _Durations:
    sketch: Sketch = field(default_factory=Sketch)
    total_s: float = 0.0
    longest_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.sketch.add(seconds)
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)

    def to_json(self) -> dict[str, float | int]:
        quantiles = {f"p{round(q * 100)}_s": round(min(self.sketch.quantile(q), self.longest_s), 6) for q in (0.5, 0.95, 0.99)}
        return {"count": self.sketch.count, "mean_s": round(self.total_s / self.sketch.count, 6), **quantiles, "max_s": self.longest_s}


@dataclass(slots=True)
class Analysis:
    """Takes entries in any order; memory is bounded however many there are. Percentiles are within 2 %."""

    since_s: float | None = None
    slow_s: float = SLOW_S
    entries: int = 0
    older: int = 0
    undated: int = 0
    unstructured: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    error_types: Counter[str] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    failed: int = 0
    slow: int = 0
    first_s: float | None = None
    last_s: float | None = None
    _all: _Durations = field(default_factory=_Durations)
    _routes: dict[str, _Durations] = field(default_factory=dict)
    _failed_of: Counter[str] = field(default_factory=Counter)
    _slowest: list[tuple[float, int, Entry]] = field(default_factory=list)

    def take(self, entries: Iterable[Entry]) -> None:
        """Older ones than `since_s` are only counted; one without a time is taken as recent, and counted."""
        for entry in entries:
            if entry.at_s is None:
                self.undated += 1
            elif self.since_s is not None and entry.at_s < self.since_s:
                self.older += 1
                continue
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        self.entries += 1
        self.levels[entry.level] += 1
        self.streams[entry.stream] += 1
        if entry.at_s is not None:
            self.first_s = entry.at_s if self.first_s is None else min(self.first_s, entry.at_s)
            self.last_s = entry.at_s if self.last_s is None else max(self.last_s, entry.at_s)
        if entry.error_type and (entry.failed or entry.stream == "error"):
            _count(self.error_types, entry.error_type)
        if entry.provider:
            _count(self.providers, entry.provider)
        if entry.model:
            _count(self.models, entry.model)
        if entry.stream == "access":
            self._request(entry)

    def _request(self, entry: Entry) -> None:
        name = f"{entry.service} {entry.route}".strip() or "(unnamed)"
        self.requests += 1
        self.failed += entry.failed
        if entry.status is not None:
            self.statuses[entry.status] += 1
        if name not in self._routes and len(self._routes) >= _MOST_KEYS:
            name = "(others)"
        if entry.failed:
            self._failed_of[name] += 1
        if entry.duration_s is None:
            return
        self._all.add(entry.duration_s)
        self._routes.setdefault(name, _Durations()).add(entry.duration_s)
        if entry.duration_s > self.slow_s:
            self.slow += 1
            push = heapq.heappush if len(self._slowest) < SLOWEST_KEPT else heapq.heappushpop
            push(self._slowest, (entry.duration_s, self.entries, entry))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document. `error_rate` is null where there was no request."""
        slowest = sorted(self._slowest, key=lambda one: (-one[0], one[1]))
        return {
            "entries": self.entries,
            "older": self.older,
            "undated": self.undated,
            "from_s": self.first_s,
            "to_s": self.last_s,
            "levels": dict(self.levels.most_common()),
            "streams": {name: self.streams[name] for name in STREAMS},
            "errors": sum(self.levels[level] for level in BAD),
            "warnings": self.levels["warning"],
            "error_types": dict(self.error_types.most_common(TYPES_SHOWN)),
            "requests": self.requests,
            "failed": self.failed,
            "error_rate": self.failed / self.requests if self.requests else None,
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "durations": self._all.to_json() if self._all.sketch.count else None,
            "routes": {name: {**of.to_json(), "failed": self._failed_of[name]} for name, of in sorted(self._routes.items())},
            "slow_s": self.slow_s,
            "slow": self.slow,
            "slowest": [
                {"duration_s": s, "service": e.service, "route": e.route, "status": e.status, "at_s": e.at_s} for s, _, e in slowest
            ],
            "providers": dict(self.providers.most_common()),
            "models": dict(self.models.most_common()),
        }


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < _MOST_KEYS else "(others)"] += 1
