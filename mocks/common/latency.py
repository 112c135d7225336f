"""How long the model takes: distributions, and what the length of the prompt and the load make of what was drawn.

Everything drawn follows from the key of the request alone; the load does not: it is what it is when an answer begins.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol

from mocks.common import traces
from mocks.common.checks import ProfileError, members, number, whole
from mocks.common.key import share

MOST_MS = 600_000.0
ROW = "row"
"""The purpose under which a row of a trace is drawn."""
_TINY = 1e-9  # quantile functions of the normal family have no value at 0
_NORMAL = NormalDist()


class Distribution(Protocol):
    """A distribution of milliseconds."""

    def at(self, share: float) -> float:
        """The value, never negative, for a `share` that was drawn evenly from [0, 1)."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    ms: float

    def at(self, share: float) -> float:  # noqa: ARG002 - the same for all
        """That value."""
        return self.ms


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal, what would be less than 0 being 0."""

    mean_ms: float
    std_ms: float

    def at(self, share: float) -> float:
        """The quantile."""
        return max(0.0, self.mean_ms + self.std_ms * _NORMAL.inv_cdf(max(_TINY, share)))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal; `sigma` is the standard deviation of the logarithm."""

    median_ms: float
    sigma: float

    def at(self, share: float) -> float:
        """The quantile."""
        return self.median_ms * math.exp(self.sigma * _NORMAL.inv_cdf(max(_TINY, share)))


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything from `low_ms` to `high_ms`."""

    low_ms: float
    high_ms: float

    def at(self, share: float) -> float:
        """The quantile."""
        return self.low_ms + share * (self.high_ms - self.low_ms)


@dataclass(frozen=True, slots=True)
class Empirical:
    """One of the values that were observed, all being as likely. What comes from one trace comes from one row of it."""

    values: Sequence[float] = field(repr=False)

    def at(self, share: float) -> float:
        """The value of the row that was drawn."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True, slots=True)
class UnderLoad:
    """Times grow with the generations under way: not at all with one, `factor` times with `at_in_flight`, evenly between, no further."""

    factor: float = 1.0
    at_in_flight: int = 2

    def times(self, in_flight: int) -> float:
        """What times are multiplied by with so many under way, this one among them."""
        return 1.0 + (self.factor - 1.0) * min(1.0, max(0, in_flight - 1) / (self.at_in_flight - 1))


class Drawn(NamedTuple):
    """What was drawn for one request, seconds, before the load."""

    ttft_s: float
    itl_s: float


AT_ONCE = Drawn(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Latency:
    """The profile's latency: milliseconds to the first token, between two, and for a request for embeddings."""

    ttft: Distribution = Constant(120.0)
    itl: Distribution = Constant(8.0)
    embedding: Distribution = Constant(0.0)
    per_prompt_token_ms: float = 0.0
    under_load: UnderLoad = UnderLoad()
    _always: Drawn | None = field(init=False, repr=False, compare=False)
    """What is drawn for every request, where all draw the same."""

    def __post_init__(self) -> None:
        fixed = isinstance(self.ttft, Constant) and isinstance(self.itl, Constant) and not self.per_prompt_token_ms
        object.__setattr__(self, "_always", Drawn(self.ttft.at(0) / 1_000, self.itl.at(0) / 1_000) if fixed else None)

    @property
    def at_once(self) -> bool:
        """Whether every answer is due as soon as its request has come."""
        return self._always == AT_ONCE and self.embedding == Constant(0.0) and not self.per_prompt_token_ms

    def draw(self, key: str, prompt_tokens: int) -> Drawn:
        """For a request for generated text."""
        if self._always is not None:
            return self._always
        ttft_ms = _draw(self.ttft, key, "ttft") + self.per_prompt_token_ms * prompt_tokens
        return Drawn(ttft_ms / 1_000, _draw(self.itl, key, "itl") / 1_000)

    def draw_embedding(self, key: str, prompt_tokens: int) -> Drawn:
        """For a request for embeddings, which have one moment only."""
        return Drawn((_draw(self.embedding, key, "embedding") + self.per_prompt_token_ms * prompt_tokens) / 1_000, 0.0)


def _draw(distribution: Distribution, key: str, purpose: str) -> float:
    if type(distribution) is Constant:  # by far the commonest: no digest for it
        return distribution.ms
    return distribution.at(share(key, ROW if type(distribution) is Empirical else purpose))


_KEYS = frozenset({"ttft", "itl", "embedding", "per_prompt_token_ms", "under_load"})


def parse_latency(document: object, ttft_ms: float, itl_ms: float, folder: Path) -> Latency:
    """The profile's `latency` object; paths of traces are relative to `folder`. Raises ProfileError."""
    given = members(document, "latency", _KEYS)
    plain = {"ttft": Constant(ttft_ms), "itl": Constant(itl_ms), "embedding": Constant(0.0)}
    drawn = {key: parse_distribution(given[key], f"latency.{key}", folder) if key in given else plain[key] for key in plain}
    per_token_ms = number(given.get("per_prompt_token_ms", 0), "latency.per_prompt_token_ms", 0, 1_000, "milliseconds")
    return Latency(**drawn, per_prompt_token_ms=per_token_ms, under_load=_under_load(given.get("under_load", {})))


def parse_distribution(document: object, key: str, folder: Path) -> Distribution:
    """`{"constant_ms": 120}`, `{"lognormal_ms": {"median": 120, "sigma": 0.5}}`… Raises ProfileError."""
    if not isinstance(document, dict) or len(document) != 1:
        raise ProfileError(f"{key} must be an object with one of {', '.join(sorted(_KINDS))}, trace; not {document!r}")
    ((kind, value),) = document.items()
    if kind == "trace":
        return Empirical(traces.latencies_ms(value, f"{key}.trace", folder))
    if kind not in _KINDS:
        raise ProfileError(f"{key} knows no {kind}; it may be one of {', '.join(sorted(_KINDS))}, trace")
    return _KINDS[kind](value, f"{key}.{kind}")


def _constant(value: object, key: str) -> Distribution:
    return Constant(_ms(value, key))


def _normal(value: object, key: str) -> Distribution:
    given = _both(value, key, "mean", "std")
    return Normal(_ms(given["mean"], f"{key}.mean"), _ms(given["std"], f"{key}.std"))


def _lognormal(value: object, key: str) -> Distribution:
    given = _both(value, key, "median", "sigma")
    return Lognormal(_ms(given["median"], f"{key}.median"), number(given["sigma"], f"{key}.sigma", 0, 3))


def _uniform(value: object, key: str) -> Distribution:
    given = _both(value, key, "low", "high")
    low_ms = _ms(given["low"], f"{key}.low")
    return Uniform(low_ms, number(given["high"], f"{key}.high", low_ms, MOST_MS, "milliseconds"))


_KINDS = {"constant_ms": _constant, "normal_ms": _normal, "lognormal_ms": _lognormal, "uniform_ms": _uniform}


def _both(value: object, key: str, *names: str) -> Mapping[str, Any]:
    given = members(value, key, frozenset(names))
    missing = [name for name in names if name not in given]
    if missing:
        raise ProfileError(f"{key} must have {' and '.join(missing)}")
    return given


def _ms(value: object, key: str) -> float:
    return number(value, key, 0, MOST_MS, "milliseconds")


def _under_load(value: object) -> UnderLoad:
    given = members(value, "latency.under_load", frozenset({"factor", "at_in_flight"}))
    factor = number(given.get("factor", 1), "latency.under_load.factor", 1, 1_000)
    if factor > 1 and "at_in_flight" not in given:
        raise ProfileError("latency.under_load must say at_in_flight: with how many generations under way the factor is reached")
    return UnderLoad(factor, whole(given.get("at_in_flight", 2), "latency.under_load.at_in_flight", 2, 1_000_000))
