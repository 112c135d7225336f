"""What metrics look like when nothing is wrong: one function a shape, all of them random within it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Background:
    """A calm series: `period` in points (0: none), `scale` is the size that an anomaly is measured in."""

    values: Array
    period: int
    scale: float


def ar1(rng: Rng, n: int, phi: float, sigma: float = 1.0) -> Array:
    """Autocorrelated noise with standard deviation `sigma`."""
    steps = rng.normal(0.0, sigma * np.sqrt(1 - phi**2), n)
    steps[0] = rng.normal(0.0, sigma)
    out = np.empty(n)
    last = 0.0
    for i, step in enumerate(steps):
        last = phi * last + step
        out[i] = last
    return out


def noise(rng: Rng, n: int) -> Background:
    """A level with autocorrelated noise, of any unit."""
    unit = 10 ** rng.uniform(-3, 6)
    values = unit * (rng.uniform(3, 50) + ar1(rng, n, rng.uniform(0, 0.9)))
    return Background(values, 0, unit)


def heavy(rng: Rng, n: int) -> Background:
    """Latency-like: lognormal, with tails that are nobody's fault."""
    sigma = rng.uniform(0.3, 0.8)
    values = rng.uniform(5, 500) * np.exp(sigma * ar1(rng, n, rng.uniform(0, 0.5)))
    return Background(values, 0, float(np.quantile(values, 0.99) - np.median(values)))


def _cycle(rng: Rng, n: int, period: int, harmonics: int = 3) -> Array:
    phase = 2 * np.pi * (np.arange(n) / period + rng.uniform())
    return sum(rng.normal(0, 1 / (h + 1)) * np.sin((h + 1) * phase + rng.uniform(0, 6)) for h in range(harmonics)) + np.sin(phase)


def daily(rng: Rng, n: int) -> Background:
    """A daily rhythm at five minutes, or by the hour, with quieter weekends."""
    period = int(rng.choice([24, 48, 96, 144, 288]))
    weekend = np.where((np.arange(n) // period) % 7 >= 5, rng.uniform(0.6, 1.0), 1.0)
    level = rng.uniform(2, 20)
    values = level + _cycle(rng, n, period) * weekend + ar1(rng, n, rng.uniform(0, 0.8), rng.uniform(0.05, 0.4))
    return _scaled(values, period, rng)


def _scaled(values: Array, period: int, rng: Rng) -> Background:
    unit = 10 ** rng.uniform(-1, 4)
    return Background(values * unit, period, float(np.std(values)) * unit)


def counts(rng: Rng, n: int) -> Background:
    """Events per interval: Poisson with a daily rhythm and over-dispersion."""
    period = int(rng.choice([96, 144, 288]))
    rate = rng.uniform(2, 40) * np.exp(0.6 * np.sin(2 * np.pi * np.arange(n) / period) + 0.3 * ar1(rng, n, 0.3))
    values = rng.poisson(rate).astype(float)
    return Background(values, period, float(np.std(values)))


def utilisation(rng: Rng, n: int) -> Background:
    """A share of something in quantised percent, with short bursts of ordinary work."""
    values = rng.uniform(2, 40) + rng.uniform(0.3, 2) * ar1(rng, n, rng.uniform(0, 0.6))
    bursts = rng.random(n) < rng.uniform(0.002, 0.02)
    values = values + bursts * rng.uniform(5, 25) * rng.uniform(0.5, 1.0, n)
    step = float(rng.choice([0.01, 0.1, 1.0]))
    values = np.clip(np.round(values / step) * step, 0, 100)
    return Background(values, 0, float(max(np.std(values), 2 * step)))


def batches(rng: Rng, n: int) -> Background:
    """Near nothing, and every so many points a job that runs: spikes that are the normal state."""
    period = int(rng.integers(30, 150))
    values = rng.uniform(1, 5) + 0.2 * rng.normal(size=n)
    width = int(rng.integers(1, 6))
    for start in range(int(rng.integers(period)), n - width, period):
        at = start + int(rng.integers(-2, 3))
        values[max(at, 0) : at + width] += rng.uniform(20, 40)
    return Background(values, period, 15.0)


def walk(rng: Rng, n: int) -> Background:
    """A temperature-like wander: slow, without a level of its own."""
    values = ar1(rng, n, 0.998, 5.0) + 0.3 * rng.normal(size=n) + rng.uniform(20, 80)
    return Background(values, 0, 4.0)


def trend(rng: Rng, n: int) -> Background:
    """A trend with seasons, as the synthetic half of a well-known benchmark has them."""
    period = int(rng.choice([12, 24, 168]))
    values = rng.uniform(-2, 4) * np.arange(n) / 500 + _cycle(rng, n, period) + _cycle(rng, n, period * 2, 1) * 0.5
    values += rng.normal(0, rng.uniform(0.05, 0.4), n)
    return _scaled(values + 20, period, rng)


def pulses(rng: Rng, n: int) -> Background:
    """Beats: a shape repeated with little change of its length and height."""
    period = int(rng.integers(40, 160))
    grid = np.linspace(0, 1, 200)
    bumps = [(rng.uniform(-1, 1.5), rng.uniform(0.1, 0.9), rng.uniform(0.02, 0.12)) for _ in range(int(rng.integers(3, 6)))]
    shape = sum(height * np.exp(-(((grid - at) / width) ** 2)) for height, at, width in bumps)
    out: list[Array] = []
    while sum(map(len, out)) < n:
        length = max(8, round(period * (1 + 0.02 * rng.normal())))
        out.append(np.interp(np.linspace(0, 1, length), grid, shape) * (1 + 0.05 * rng.normal()))
    values = np.concatenate(out)[:n] + 0.03 * rng.normal(size=n)
    return _scaled(values, period, rng)


def regimes(rng: Rng, n: int) -> Background:
    """Two usual states, between which the system changes as it likes."""
    state = (np.cumsum(rng.random(n) < 0.01) % 2).astype(float)
    values = 10 + rng.uniform(3, 10) * state + rng.normal(0, rng.uniform(0.2, 0.8), n)
    return Background(values, 0, 5.0)


BACKGROUNDS: dict[str, Callable[[Rng, int], Background]] = {
    "noise": noise,
    "heavy": heavy,
    "daily": daily,
    "counts": counts,
    "utilisation": utilisation,
    "batches": batches,
    "walk": walk,
    "trend": trend,
    "pulses": pulses,
    "regimes": regimes,
}
