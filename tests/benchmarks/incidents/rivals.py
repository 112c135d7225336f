"""The baselines of the field, as they are published: no graph, no direction, no floors but what division needs."""

from __future__ import annotations

import numpy as np

from harness.ops.diagnosis.incident import Incident

Ranking = list[str]


def _best_by_service(scores: dict[tuple[str, str], float]) -> Ranking:
    best: dict[str, float] = {}
    for (service, _), score in scores.items():
        best[service] = max(score, best.get(service, 0.0))
    return sorted(best, key=lambda s: -best[s])


def _split(incident: Incident, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    after = incident.times_s >= incident.onset_s
    return values[~after & np.isfinite(values)], values[after & np.isfinite(values)]


def baro(incident: Incident) -> Ranking:
    """Largest |value - median| / IQR after onset (Pham et al., FSE 2024)."""
    scores = {}
    for key, values in incident.series.items():
        before, after = _split(incident, values)
        if len(before) and len(after):
            low, high = np.quantile(before, (0.25, 0.75))
            scores[key] = float(np.max(np.abs(after - np.median(before))) / ((high - low) or 1.0))
    return _best_by_service(scores)


def nsigma(incident: Incident) -> Ranking:
    """Largest |value - mean| / standard deviation after onset."""
    scores = {}
    for key, values in incident.series.items():
        before, after = _split(incident, values)
        if len(before) and len(after):
            scores[key] = float(np.max(np.abs(after - before.mean())) / (before.std() or 1.0))
    return _best_by_service(scores)
