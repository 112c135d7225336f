"""Scores of scores: area under precision-recall by points and by ranges (VUS-PR), and the NAB score with one threshold for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.detection.families import Array, Labelled

PROBATION_SHARE, PROBATION_AT_MOST = 0.15, 750


def average_precision(label: Array, score: Array) -> float:
    """Area under the precision-recall curve by steps; points of equal score share their fate."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(label[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    recall = hits[last] / max(1, hits[-1])
    precision = hits[last] / (last + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def vus_pr(label: Array, score: Array, longest: int, steps: int = 5) -> float:
    """Volume under the surface of range precision-recall over buffer lengths 0…`longest` (Paparrizos et al., VLDB 2022)."""
    return float(np.mean([_range_pr(label, score, round(b)) for b in np.linspace(0, longest, steps)]))


def segments(label: Array) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], label.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _range_pr(label: Array, score: Array, buffer: int) -> float:
    soft = label.astype(float)
    n = len(label)
    spans = segments(label)
    half = buffer // 2
    for start, end in spans:
        for j in range(half):
            weight = np.sqrt(1 - (j + 1) / (buffer + 1e-9))
            for at in (start - 1 - j, end + j):
                if 0 <= at < n:
                    soft[at] = max(soft[at], weight)
    positives = (label.sum() + soft.sum()) / 2
    ranked = np.sort(score)[::-1]
    thresholds = np.unique(ranked[np.linspace(0, n - 1, 120).astype(int)])[::-1]
    top = np.unique(ranked[: min(n, 60)])[::-1]
    thresholds = np.unique(np.concatenate((thresholds, top)))[::-1]
    recalls, precisions = [0.0], [1.0]
    for threshold in thresholds:
        chosen = score >= threshold
        hit = float(soft[chosen].sum())
        found = np.mean([chosen[max(0, s - half) : e + half].any() for s, e in spans])
        recalls.append(min(1.0, hit / positives) * float(found))
        precisions.append(hit / chosen.sum())
    return float(np.sum(np.diff(recalls) * np.array(precisions[1:])))


@dataclass(frozen=True, slots=True)
class Alarms:
    """What one threshold makes of a corpus: NAB score (100: perfect, 0: silent), and alarms per 1 000 points where nothing is wrong."""

    threshold: float
    nab: float
    false_per_1000: float


def _sigmoid(y: Array) -> Array:
    return 2.0 / (1.0 + np.exp(np.minimum(5.0 * y, 60.0))) - 1.0


def _nab_points(one: Labelled, score: Array) -> tuple[Array, Array, Array]:
    """Per candidate point: score, contribution if a false positive, index of the window it lies in (-1: none)."""
    n = len(score)
    probation = int(min(PROBATION_SHARE * n, PROBATION_AT_MOST))
    window, penalty = np.full(n, -1), np.full(n, -1.0)
    for k, (start, end) in enumerate(one.windows):
        window[start:end] = k
    previous: tuple[int, int] | None = None
    following = {end: (start, end) for start, end in one.windows}
    for at in range(n):
        if at in following:
            previous = following[at]
        if window[at] < 0 and previous is not None:
            width = previous[1] - previous[0]
            penalty[at] = float(_sigmoid(np.array(min((at - previous[1] + 1) / max(width - 1, 1), 3.0))))
    keep = np.arange(n) >= probation
    return np.where(keep, score, -1.0), penalty, window


def alarms(corpus: Sequence[Labelled], scores: Sequence[Array], false_weight: float = 0.11) -> Alarms:
    """The best single threshold for the whole corpus, as NAB's optimiser chooses it (standard profile)."""
    prepared = [_nab_points(one, score) for one, score in zip(corpus, scores, strict=True)]
    pooled = np.concatenate([p[0] for p in prepared])
    pooled = pooled[pooled > 0]
    if not len(pooled):
        return Alarms(1.0, 0.0, 0.0)
    candidates = [*np.unique(np.quantile(pooled, 1 - np.geomspace(1e-6, 0.3, 60))), 2.0]  # the last one: silence
    windows = sum(len(one.windows) for one in corpus)
    best = max(((_nab(corpus, prepared, c, false_weight), float(c)) for c in candidates), default=(0.0, 1.0))
    threshold = best[1]
    calm = [(s, len(s)) for one, (s, _, _) in zip(corpus, prepared, strict=True) if not one.windows]
    false = 1000 * sum(int((s >= threshold).sum()) for s, _ in calm) / max(1, sum(n for _, n in calm))
    return Alarms(threshold, 100 * (best[0] + windows) / (2 * windows), false)


def _nab(corpus: Sequence[Labelled], prepared: Sequence[tuple[Array, Array, Array]], threshold: float, false_weight: float) -> float:
    total = 0.0
    for one, (score, penalty, window) in zip(corpus, prepared, strict=True):
        chosen = score >= threshold
        total += false_weight * float(penalty[chosen & (window < 0)].sum())
        for start, end in one.windows:
            found = np.flatnonzero(chosen[start:end])
            total += float(_sigmoid(np.array((start + found[0] - end) / (end - start)))) / 0.98661 if len(found) else -1.0
    return total
