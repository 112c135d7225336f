"""When a fault strikes: its time shapes. All those in one document must hold for a call to be hit."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mocks.common.buckets import TokenBucket
from mocks.faults.documents import FaultError, members, number, spelled, whole

KEYS_REMEMBERED = 65_536
"""With `count: request`, this many requests are told apart; the one not seen for longest is then counted from 1 again."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One key of a document that shapes a fault in time, as its documentation tells it."""

    spelled: str
    says: str


SHAPES = {
    "probability": Shape("`0.2`", "share of the calls, drawn for each by seed, request and attempt; from 0 to 1"),
    "first": Shape("`3`", "only the first so many calls"),
    "after": Shape("`5`", "spares the first so many calls"),
    "every": Shape("`4`", "only every such call: the 4th, the 8th…"),
    "burst": Shape("`{interval_s: 30, duration_s: 5}`", "for `duration_s` at the beginning of every `interval_s`"),
    "window": Shape("`{start_s: 10, duration_s: 20}`", "an outage: from `start_s` after it was put, for `duration_s`"),
    "ramp": Shape("`{over_s: 60, from: 0, to: 1}`", "`probability` times a factor that goes from `from` to `to` within `over_s`"),
    "quota": Shape("`{per_s: 5, burst: 10}`", "only the calls that exceed a bucket of `burst` which fills by `per_s` a second"),
    "count": Shape(
        '`"all"` or `"request"`',
        "what `first`, `after` and `every` count: all calls that the fault concerns (default), or those of each request by itself",
    ),
}
"""The time shapes, by key."""
BY_CALL = ("probability", "first", "after", "every", "ramp", "quota", "count")
"""Those that need a call to decide."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds since the fault was put, from `start_s` for `duration_s`, again after every `interval_s` (inf: once)."""

    start_s: float
    duration_s: float
    interval_s: float = math.inf

    def holds(self, since_s: float) -> bool:
        """Whether that moment lies in it."""
        return 0 <= self._phase_s(since_s) < self.duration_s

    def next_edge_s(self, since_s: float) -> float:
        """The next moment at which `holds` changes; inf where it never does again."""
        phase_s = self._phase_s(since_s)
        if phase_s < 0:
            return self.start_s
        to_go_s = (self.duration_s if phase_s < self.duration_s else self.interval_s) - phase_s
        return since_s + to_go_s

    def _phase_s(self, since_s: float) -> float:
        past_s = since_s - self.start_s
        return past_s if past_s < 0 or math.isinf(self.interval_s) else past_s % self.interval_s


@dataclass(frozen=True, slots=True)
class Ramp:
    """A factor that goes from `start` to `end` within `over_s`."""

    over_s: float
    start: float
    end: float

    def factor(self, since_s: float) -> float:
        """The factor at that moment."""
        return self.start + (self.end - self.start) * min(1.0, max(0.0, since_s / self.over_s))


class Schedule:
    """The shapes of one document, and what they have counted. Times are seconds since the fault was put."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Takes its keys out of `document`. Raises FaultError."""
        given = {key: document.pop(key) for key in SHAPES if key in document}
        self._given = tuple(given)
        self._probability = number(given.get("probability", 1.0), "probability", least=0, most=1)
        self._first = whole(given["first"], "first", 1) if "first" in given else None
        self._after = whole(given.get("after", 0), "after", 0)
        self._every = whole(given.get("every", 1), "every", 1)
        self._spans = tuple(read(given[key]) for key, read in _SPANS.items() if key in given)
        self._ramp = _ramp(given["ramp"]) if "ramp" in given else None
        self._quota = _quota(given["quota"]) if "quota" in given else None
        self._of_each: Counter = _counter(given.get("count", "all"))
        if self._first is not None and self._first <= self._after:
            raise FaultError(
                f"first: {self._first} with after: {self._after} never holds, for both count from the first call; "
                f"write first: {self._first + self._after} for {self._first} calls after those"
            )
        if self._first is not None and self._first // self._every * self._every <= self._after:
            least = (self._after // self._every + 1) * self._every
            raise FaultError(
                f"first: {self._first} with after: {self._after} and every: {self._every} never holds; first must be at least {least}"
            )

    def refuse_counting(self, name: str) -> None:
        """Raise FaultError where a call would have to decide: faults of type `name` hold between calls."""
        found = [key for key in self._given if key in BY_CALL]
        if found:
            raise FaultError(f"{name} holds between calls and cannot take {', '.join(found)}; it takes burst, window and ttl_s")

    def strikes(self, key: str, since_s: float, share: float) -> bool:
        """Count a call with this key, and whether it is hit; `share` is what was drawn for it, in [0, 1)."""
        n = self._of_each(key)
        beyond = self._quota is None or self._quota.take(1, since_s) > 0
        counted = n > self._after and n % self._every == 0 and (self._first is None or n <= self._first)
        likely = self._probability * (self._ramp.factor(since_s) if self._ramp else 1.0)
        return beyond and counted and share < likely and self.in_time(since_s)

    def in_time(self, since_s: float) -> bool:
        """Whether burst and window hold."""
        return all(span.holds(since_s) for span in self._spans)

    def next_edge_s(self, since_s: float) -> float:
        """The next moment at which `in_time` may change; inf where it never does."""
        return min((span.next_edge_s(since_s) for span in self._spans), default=math.inf)


Counter = Callable[[str], int]
"""Counts a call with a key; the number that it has, from 1."""


class _AllCalls:
    def __init__(self) -> None:
        self._n = 0

    def __call__(self, key: str) -> int:  # noqa: ARG002 - whichever it is
        self._n += 1
        return self._n


class _EachRequest:
    def __init__(self) -> None:
        self._n: OrderedDict[str, int] = OrderedDict()

    def __call__(self, key: str) -> int:
        self._n[key] = n = self._n.pop(key, 0) + 1
        if len(self._n) > KEYS_REMEMBERED:
            self._n.popitem(last=False)
        return n


_COUNTERS: dict[Literal["all", "request"], Callable[[], Counter]] = {"all": _AllCalls, "request": _EachRequest}


def _counter(value: Any) -> Counter:
    if value not in ("all", "request"):
        raise FaultError(f'count must be "all" or "request", not {spelled(value)}')
    return _COUNTERS["all" if value == "all" else "request"]()


def _burst(value: object) -> Span:
    given = members(value, "burst", {"interval_s": True, "duration_s": True})
    span = Span(0.0, number(given["duration_s"], "burst.duration_s", above=0), number(given["interval_s"], "burst.interval_s", above=0))
    if span.duration_s >= span.interval_s:
        raise FaultError(f"burst.duration_s must be less than burst.interval_s, {span.interval_s:g}, not {span.duration_s:g}")
    return span


def _window(value: object) -> Span:
    given = members(value, "window", {"start_s": False, "duration_s": True})
    return Span(number(given.get("start_s", 0), "window.start_s", least=0), number(given["duration_s"], "window.duration_s", above=0))


_SPANS: dict[str, Callable[[object], Span]] = {"burst": _burst, "window": _window}


def _ramp(value: object) -> Ramp:
    given = members(value, "ramp", {"over_s": True, "from": False, "to": False})
    ends = [number(given.get(key, default), f"ramp.{key}", least=0, most=1) for key, default in (("from", 0.0), ("to", 1.0))]
    return Ramp(number(given["over_s"], "ramp.over_s", above=0), *ends)


def _quota(value: object) -> TokenBucket:
    given = members(value, "quota", {"per_s": True, "burst": False})
    return TokenBucket(number(given["per_s"], "quota.per_s", above=0), number(given.get("burst", 1), "quota.burst", least=1))
