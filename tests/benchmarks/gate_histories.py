"""Histories for `gate_power`: what two equal versions, or a worse one, look like on machines that disturb them.

A timeline gives each second its level of latency; requests scatter around it. What disturbs the machine (autocorrelated noise, drift,
bursts, half of the stalls) disturbs whatever runs on it; the other stalls are a version's own. Recorded histories are drawn in stretches of
20 s from the requests of real runs, so that what hangs together in a stretch stays together (moving-block bootstrap; Künsch 1989).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator

MEDIAN_S = 0.4
SPREAD = 0.4  # of the logarithm: a p95 of about twice the median
AVAILABLE = 0.997
RECALL = 0.92
ANSWERED = 0.95
STREAMED = 0.3
STRETCH_S = 20.0


@dataclass(frozen=True)
class Requests:
    """Requests of one side, in order of time. Shares are 0 or 1 for each; `ttft_s` is NaN where nothing was streamed."""

    t_s: Floats
    latency_s: Floats
    ttft_s: Floats
    available: Floats
    recall: Floats
    answered: Floats

    def where(self, mask: NDArray[np.bool_]) -> Requests:
        return Requests(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Kind:
    """One kind of history."""

    name: str
    memory: float = 0.0  # correlation of the level of neighbouring seconds
    sd: float = 0.0  # of the level's logarithm
    stall_every_s: float = 0.0
    drift: float = 0.0  # growth of the logarithm from the beginning of a side to its end
    burstiness: float = 0.0  # coefficient of variation of a second's rate
    recorded: Requests | None = field(default=None, compare=False)


KINDS = (
    Kind("independent"),
    Kind("autocorrelated 3%", memory=0.5, sd=0.03),
    Kind("autocorrelated 6%", memory=0.9, sd=0.06),
    Kind("stalled", memory=0.5, sd=0.03, stall_every_s=60.0),
    Kind("bursty", memory=0.5, sd=0.03, burstiness=0.5),
    Kind("drifting", memory=0.5, sd=0.03, drift=0.15),
)


def levels(rng: Rng, kind: Kind, length_s: int) -> Floats:
    """The logarithm of each second's level of latency."""
    noise = rng.normal(size=length_s) * np.sqrt(1.0 - kind.memory**2)
    found = np.empty(length_s)
    value = rng.normal()
    for second in range(length_s):
        value = kind.memory * value + noise[second]
        found[second] = value
    return kind.sd * found


def side(rng: Rng, kind: Kind, level: Floats, rate: float, stalls: list[tuple[float, float]]) -> Requests:
    """Requests of a version that runs on a machine with these levels; `stalls` are (start, end) in seconds."""
    length_s = len(level)
    if kind.burstiness:
        shape = 1.0 / kind.burstiness**2
        busy = rng.gamma(shape, 1.0 / shape, length_s)
        counts = rng.poisson(rate * busy)
        second = np.repeat(np.arange(length_s), counts)
        t_s = np.sort(second + rng.random(len(second)))
        level = level + 0.2 * np.maximum(0.0, busy - 1.0)  # what comes in a burst waits
    else:
        t_s = np.arange(round(length_s * rate)) / rate
    place = t_s.astype(np.int64)
    latency_s = MEDIAN_S * np.exp(level[place] + SPREAD * rng.normal(size=len(t_s)))
    available = (rng.random(len(t_s)) < AVAILABLE).astype(np.float64)
    for start_s, end_s in stalls:
        caught = (t_s >= start_s) & (t_s < end_s)
        latency_s[caught] += end_s - t_s[caught]
        available[caught] *= rng.random(np.count_nonzero(caught)) < 0.97
    ttft_s = np.where(rng.random(len(t_s)) < STREAMED, latency_s * 0.35, np.nan)
    shares = [(rng.random(len(t_s)) < share).astype(np.float64) for share in (RECALL, ANSWERED)]
    return Requests(t_s, latency_s, ttft_s, available, *shares)


def stalls(rng: Rng, kind: Kind, length_s: float) -> list[tuple[float, float]]:
    """Half of those of the kind: for the machine, or for one version."""
    if not kind.stall_every_s:
        return []
    count = rng.poisson(length_s / kind.stall_every_s / 2.0)
    return [(start, start + rng.uniform(0.5, 2.0)) for start in rng.uniform(0.0, length_s, count)]


def beside(rng: Rng, kind: Kind, length_s: int, rate: float) -> tuple[Requests, Requests]:
    """Two equal versions under one load of `rate` a second, two of every four arrivals each."""
    if kind.recorded is not None:
        both = stretches(rng, kind.recorded, length_s)
        theirs = drawn(rng, len(both.t_s))
        return both.where(~theirs), both.where(theirs)
    level = levels(rng, kind, length_s) + kind.drift * np.linspace(0.0, 1.0, length_s)
    common = stalls(rng, kind, length_s)
    sides = [side(rng, kind, level, rate, [*common, *stalls(rng, kind, length_s)]) for _ in range(2)]
    if kind.burstiness:  # one stream of arrivals, divided
        both = sides[0]
        theirs = drawn(rng, len(both.t_s))
        return both.where(~theirs), both.where(theirs)
    theirs = drawn(rng, len(sides[0].t_s))
    return sides[0].where(~theirs), sides[1].where(theirs)


def apart(rng: Rng, kind: Kind, length_s: int, rate: float) -> tuple[Requests, Requests]:
    """The same version twice, one run after the other; a drift goes on from the first into the second."""
    if kind.recorded is not None:
        return stretches(rng, kind.recorded, length_s), stretches(rng, kind.recorded, length_s)
    level = levels(rng, kind, 2 * length_s) + kind.drift * np.linspace(0.0, 2.0, 2 * length_s)
    halves = (level[:length_s], level[length_s:])
    first, second = (side(rng, kind, half, rate, stalls(rng, kind, length_s) + stalls(rng, kind, length_s)) for half in halves)
    return first, second


def drawn(rng: Rng, count: int) -> NDArray[np.bool_]:
    """As the load draws who is asked: two of every four."""
    rounds = np.tile([False, True, True, False], (count // 4 + 1, 1))
    return rng.permuted(rounds, axis=1).ravel()[:count]


def stretches(rng: Rng, recorded: Requests, length_s: int) -> Requests:
    """A run of that length, put together from stretches of a recorded one."""
    span_s = float(recorded.t_s[-1])
    count = int(np.ceil(length_s / STRETCH_S))
    parts = []
    for n in range(count):
        start_s = rng.uniform(0.0, span_s - STRETCH_S)
        first, last = np.searchsorted(recorded.t_s, (start_s, start_s + STRETCH_S))
        part = recorded.where(np.arange(first, last))
        parts.append(Requests(part.t_s - start_s + n * STRETCH_S, *(getattr(part, name) for name in list(part.__dataclass_fields__)[1:])))
    return Requests(*(np.concatenate([getattr(p, name) for p in parts]) for name in Requests.__dataclass_fields__))


def slower(requests: Requests, by: float) -> Requests:
    """Every duration longer by a share."""
    return Requests(
        requests.t_s, requests.latency_s * (1 + by), requests.ttft_s * (1 + by), requests.available, requests.recall, requests.answered
    )


def worse(rng: Rng, requests: Requests, share: str, points: float) -> Requests:
    """A share that is lower by so many points (0.01 for one)."""
    values = {name: getattr(requests, name) for name in Requests.__dataclass_fields__}
    kept = 1.0 - points / float(np.mean(values[share]))
    values[share] = values[share] * (rng.random(len(requests.t_s)) < kept)
    return Requests(**values)
