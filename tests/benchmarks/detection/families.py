"""Anomalies put into calm series: one function a family. All of it follows from the seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tests.benchmarks.detection.backgrounds import BACKGROUNDS, Array, Background, Rng

CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One series: `label` marks anomalous points; `windows` are where an alarm is right, a tenth of it in all, as NAB draws them."""

    name: str
    family: str
    values: Array
    label: Array
    windows: tuple[tuple[int, int], ...]
    period: int


Spans = list[tuple[int, int]]
Inject = Callable[[Rng, Background, Array, list[int]], Spans]


def spikes(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """One to three points far out."""
    spans = []
    for at in onsets:
        end = at + int(rng.integers(1, 4))
        values[at:end] += rng.choice([-1, 1]) * base.scale * rng.uniform(4, 12)
        spans.append((at, end))
    return spans


def upward(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """Spikes upward only, on what cannot be negative."""
    spans = []
    for at in onsets:
        end = at + int(rng.integers(1, 12))
        values[at:end] += base.scale * rng.uniform(4, 15)
        spans.append((at, end))
    return spans


def contextual(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """A value that is usual, at a time when it is not."""
    spans = []
    middle = float(np.median(values))
    for at in onsets:
        values[at] = middle - (values[at] - middle) * rng.uniform(0.9, 1.2)
        if abs(values[at] - middle) < base.scale:
            values[at] += rng.choice([-1, 1]) * 2.2 * base.scale
        spans.append((at, at + 1))
    return spans


def level_shift(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """A new level that stays; labelled for as long as it is news."""
    spans = []
    for at in onsets:
        values[at:] += rng.choice([-1, 1]) * base.scale * rng.uniform(2, 6)
        spans.append((at, min(len(values), at + 100)))
    return spans


def plateau(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """Another level for a while."""
    spans = []
    for at in onsets:
        end = min(len(values), at + int(rng.integers(20, 150)))
        values[at:end] += rng.choice([-1, 1]) * base.scale * rng.uniform(2, 6)
        spans.append((at, end))
    return spans


def louder(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """More variance, same mean."""
    spans = []
    for at in onsets:
        end = min(len(values), at + int(rng.integers(50, 200)))
        values[at:end] += rng.normal(0, base.scale * rng.uniform(2, 4), end - at)
        spans.append((at, end))
    return spans


def flat(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """A sensor that is stuck, or a service that reports its last value."""
    spans = []
    for at in onsets:
        end = min(len(values), at + int(rng.integers(40, 150)))
        values[at:end] = values[at] if rng.random() < 0.6 else np.median(values)
        spans.append((at, end))
    return spans


def outage(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """Nothing arrives: zero, or near it."""
    spans = []
    for at in onsets:
        end = min(len(values), at + int(rng.integers(5, 80)))
        values[at:end] = min(0.0, float(values.min()))
        spans.append((at, end))
    return spans


def drift(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """A slow climb, such as a leak."""
    spans = []
    for at in onsets[:1]:
        end = min(len(values), at + int(rng.integers(200, 500)))
        values[at:end] += base.scale * rng.uniform(4, 8) * np.linspace(0, 1, end - at)
        spans.append((at, end))
    return spans


def season(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """A cycle without its peak, or upside down."""
    spans = []
    length = base.period or 60
    for at in onsets:
        end = min(len(values), at + length)
        middle = float(np.median(values))
        keep = rng.choice([-1.0, 0.1])
        values[at:end] = middle + keep * (values[at:end] - middle) + (0.0 if base.period else base.scale * 2)
        spans.append((at, end))
    return spans


def tempo(rng: Rng, base: Background, values: Array, onsets: list[int]) -> Spans:
    """The same cycle, faster."""
    spans = []
    length = 2 * (base.period or 40)
    for at in onsets:
        end = min(len(values), at + length)
        factor = rng.choice([2, 3])
        source = at - length + (np.arange(end - at) * factor) % length
        values[at:end] = values[source]
        spans.append((at, end))
    return spans


@dataclass(frozen=True, slots=True)
class Family:
    inject: Inject
    backgrounds: tuple[str, ...]
    at_most: int = 3


_LEVEL = ("noise", "heavy", "utilisation", "regimes")
_RHYTHM = ("daily", "counts", "trend")
FAMILIES: dict[str, Family] = {
    "spikes": Family(spikes, (*_LEVEL, *_RHYTHM, "walk"), 6),
    "upward": Family(upward, ("heavy", "counts", "utilisation", "batches", "daily"), 4),
    "contextual": Family(contextual, ("daily", "trend", "pulses"), 6),
    "level_shift": Family(level_shift, (*_LEVEL, *_RHYTHM, "batches"), 1),
    "plateau": Family(plateau, (*_LEVEL, *_RHYTHM)),
    "louder": Family(louder, (*_LEVEL, *_RHYTHM)),
    "flat": Family(flat, ("noise", "daily", "walk", "pulses", "trend")),
    "outage": Family(outage, ("noise", "daily", "counts", "batches", "utilisation")),
    "drift": Family(drift, ("noise", "heavy", "daily", "counts", "utilisation")),
    "season": Family(season, ("daily", "trend", "pulses", "batches"), 2),
    "tempo": Family(tempo, ("daily", "trend", "pulses"), 2),
    CONTROL: Family(lambda *_: [], tuple(BACKGROUNDS)),
}
_DIRT = ("none", "none", "quantised", "missing", "trend")


def series(seed: int, per_background: int = 3) -> Iterator[Labelled]:
    """Every family on each of its backgrounds, `per_background` times."""
    for family, spec in FAMILIES.items():
        for background in spec.backgrounds:
            for k in range(per_background):
                name = f"{family}/{background}/{k}"
                yield _one(np.random.default_rng([seed, zlib.crc32(name.encode())]), name, family, spec, background)


def _one(rng: Rng, name: str, family: str, spec: Family, background: str) -> Labelled:
    n = int(rng.choice([1500, 2500, 4000]))
    base = BACKGROUNDS[background](rng, n)
    values = base.values.copy()
    spans = sorted(spec.inject(rng, base, values, _onsets(rng, n, int(rng.integers(1, spec.at_most + 1)))))
    if not np.any(base.values < 0):
        values = np.maximum(values, 0)
    values = _dirty(rng, values, base)
    label = np.zeros(n, dtype=bool)
    for start, end in spans:
        label[start:end] = True
    return Labelled(name, family, values, label, windows_around(spans, n), base.period)


def _onsets(rng: Rng, n: int, count: int) -> list[int]:
    """Random, apart from one another, none within the probation of 15 %."""
    first = int(0.2 * n)
    slots = np.linspace(first, 0.93 * n, count + 1)
    return [int(rng.uniform(a, a + 0.5 * (b - a))) for a, b in pairwise(slots)]


def windows_around(spans: Spans, n: int) -> tuple[tuple[int, int], ...]:
    if not spans:
        return ()
    half = max(5, int(0.05 * n / len(spans)))
    return tuple((max(0, middle - half), min(n, middle + half)) for s, e in spans if (middle := (s + min(e, s + half)) // 2))


def _dirty(rng: Rng, values: Array, base: Background) -> Array:
    """What files look like: quantised, with holes, with a slow trend."""
    dirt = rng.choice(_DIRT)
    if dirt == "quantised":
        step = base.scale / 5
        return np.round(values / step) * step
    if dirt == "missing":
        return np.where(rng.random(len(values)) < 0.03, np.nan, values)
    if dirt == "trend":
        return values + np.linspace(0, base.scale * rng.uniform(-2, 2), len(values))
    return values
