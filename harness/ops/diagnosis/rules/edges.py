"""The way between two services: what the caller sees fail, and the callee knows nothing of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import Streaks, View
from harness.ops.monitoring.signals import EdgeSignal
from harness.ops.monitoring.symptoms import Symptom

MIN_FAILED = 3
FAILED_SHARE = 0.1
OWN_SHARE = 0.5  # of what the caller counts: when the callee counts as much itself, it is its own doing
CACHE_ERRORS = 2
WRITERS_FAIL_SHARE = 0.5
READERS_FAIL_AT_MOST = 0.05
_BY_KIND: Mapping[str, tuple[str, ...]] = {
    "http": ("http_5xx", "connect_error", "connection_lost", "error", "timeout", "rate_limited"),
    "postgres": ("connect_error", "timeout"),  # its other errors are answers
    "redis": ("connect_error", "timeout", "error"),
}
"""Providers and stores of vectors are left out: where requests to them end is theirs to say."""


@dataclass(slots=True)
class WayRules:
    """Failures on an edge whose callee answers direct looks and counts no such failures."""

    _seen: Streaks = field(default_factory=Streaks)
    _down_s: dict[str, float] = field(default_factory=dict)  # when an instance of the service was last seen down, or new
    _started: dict[str, float] = field(default_factory=dict)  # by its own account

    def look(self, view: View) -> Iterator[Symptom]:
        down = self._down_lately(view)
        own = _own_failures(view)
        for (caller, callee), signal in view.signals.edges.items():
            outcomes = _BY_KIND.get(view.kinds.get(callee, ""), ())
            failed = sum(signal.outcomes.get(o, 0.0) for o in outcomes)
            broken = callee not in down and self._is_ways(signal, failed, own.get(callee, 0.0))
            if self._seen.count((caller, callee), broken) >= 2 and not _shared(view, caller, callee, outcomes):
                words = ", ".join(o for o in outcomes if signal.outcomes.get(o))
                evidence = (
                    f"{failed:.0f} of {signal.attempts:.0f} calls {caller} -> {callee} fail ({words}), and {callee} counts none of them"
                )
                yield Symptom("WayBroken", callee, "network", evidence, edge=(caller, callee), directness=0.86, for_s=0.4)
        yield from self._of_caches(view, down)

    def _down_lately(self, view: View) -> set[str]:
        """Services with an instance that was silent, or began anew, while the calls of the window were made: that is why they failed."""
        for look in view.round_.looks:
            if look.error is not None:
                self._down_s[look.endpoint.service] = view.t_s
        for key, started in view.now("process_start_time_seconds"):
            if self._started.setdefault(key.instance, started) != started:
                self._started[key.instance] = started
                self._down_s[key.service] = view.t_s
        return {service for service, at_s in self._down_s.items() if view.t_s - at_s <= view.signals.window_s}

    def _is_ways(self, signal: EdgeSignal, failed: float, own: float) -> bool:
        tried = sum(n for outcome, n in signal.outcomes.items() if outcome != "circuit_open")
        return failed >= MIN_FAILED and tried > 0 and failed >= FAILED_SHARE * tried and own < OWN_SHARE * failed

    def _of_caches(self, view: View, down: set[str]) -> Iterator[Symptom]:
        """After an error a cache is left alone for a while, so there are few of them."""
        caches = [s for s, kind in view.kinds.items() if kind == "redis"]
        errors: dict[str, float] = defaultdict(float)
        for key, grown in view.grown("rag_cache_requests_total"):
            if key.label("result") == "error":
                errors[key.service] += grown
        for cache in caches:
            callers = [s for s, n in errors.items() if n >= CACHE_ERRORS]
            if cache not in down and len(callers) == 1:
                evidence = f"{errors[callers[0]]:.0f} look-ups of {callers[0]} in {cache} fail, and {cache} answers"
                edge = (callers[0], cache)
                yield Symptom("WayBroken", cache, "network", evidence, edge=edge, directness=0.86, for_s=0.9)


def _own_failures(view: View) -> dict[str, float]:
    """What each service itself answered with an error, or refused."""
    own: dict[str, float] = defaultdict(float)
    for key, grown in view.grown("rag_requests_total"):
        if key.label("status").startswith("5") or key.label("status") in ("429", "499"):
            own[key.service] += grown
    return own


def _shared(view: View, caller: str, callee: str, outcomes: tuple[str, ...]) -> bool:
    """Do others see the same? Then it is no single way."""
    return any(
        to == callee and of != caller and signal.attempts >= MIN_FAILED and signal.share(*outcomes) >= FAILED_SHARE
        for (of, to), signal in view.signals.edges.items()
    )


@dataclass(slots=True)
class WriteRules:
    """A database whose readers are served and whose writers are not has no room, where it is not read-only."""

    _seen: Streaks = field(default_factory=Streaks)

    def look(self, view: View) -> Iterator[Symptom]:
        read_only = {key.service for key, on in view.now("pg_settings_default_transaction_read_only") if on}
        for database in (s for s, kind in view.kinds.items() if kind == "postgres" and s not in read_only):
            edges = {of: signal for (of, to), signal in view.signals.edges.items() if to == database}
            failing = [of for of, s in edges.items() if s.outcomes.get("error", 0.0) >= 2 and s.share("error") >= WRITERS_FAIL_SHARE]
            served = [of for of, s in edges.items() if s.attempts >= MIN_FAILED and s.share("error") <= READERS_FAIL_AT_MOST]
            if self._seen.count(database, bool(failing and served)) >= 2:
                evidence = f"{', '.join(failing)} cannot write to {database}, and {', '.join(served)} can read"
                yield Symptom("WritesFail", database, "disk", evidence, directness=0.85, for_s=0.4)
