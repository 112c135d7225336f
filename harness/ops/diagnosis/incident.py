"""Rank the causes of one recorded incident: what moved at its onset, weighted by what it means, explained away by what lies beneath.

The steps are those that hold in published comparisons (RCAEval, RCABench): signed robust shifts gated on the onset, correlation with the
violated objective, callees explain callers, several causes or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.metric_kinds import Meaning, may_be_counter, meaning
from harness.ops.diagnosis.ranking import EXPLAINED_AWAY, Cause
from harness.ops.diagnosis.shift import Shift, Spans, Values, shift, spans

AT_MOST = 5
_WORTH_NAMING = 5.0  # scales: what calm metrics reach by accident lies below
_FURTHER = (1.0, 0.3, 0.1)  # what the strongest, second, third metric of a service count
_KIND_BONUS: Mapping[str, float] = {"disk": 1.25, "memory": 1.15, "descriptors": 1.15, "crash": 1.5, "network": 1.1}
_GONE = 0.7  # share of rows without any value of a service after onset that says it is gone


@dataclass(frozen=True, slots=True)
class Incident:
    """Samples by `(service, metric)`, all with the same times; NaN where there is none."""

    times_s: Values
    series: Mapping[tuple[str, str], Values]
    graph: Graph
    onset_s: float
    slo: tuple[str, str] | None = None


class TooShortError(ValueError):
    """There is too little before or after the onset to compare."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    service: str
    metric: str
    means: Meaning
    moved: Shift
    size: float  # scales, in the bad direction
    strength: float = 0.0


def diagnose(incident: Incident) -> tuple[Cause, ...]:
    """At most five causes, one a service, best first; empty when nothing moved."""
    where = spans(incident.times_s, incident.onset_s)
    if where is None:
        raise TooShortError("there are fewer than 8 rows before the onset, or fewer than 3 after it")
    series = {key: _rate(key[1], values) for key, values in incident.series.items()}
    load = _load_ratios(series, where)
    evidence = [e for key, values in series.items() if (e := _evidence(key, values, where, load.get(key[0], 1.0))) is not None]
    evidence += _gone(series, where)
    if not any(e.size >= _WORTH_NAMING and e.means.weight > 0.5 for e in evidence):
        return ()
    weighted = _weigh(evidence, series, incident, where)
    return _rank(weighted)


def _rate(metric: str, values: Values) -> Values:
    """Growth per row where a column is a counter that only ever rises; else the column as it is. A reset leaves a hole."""
    known = np.flatnonzero(np.isfinite(values))
    if not may_be_counter(metric) or len(known) < 3:
        return values
    grown = np.diff(values[known])
    if float(np.mean(grown >= 0)) < 0.98 or float(np.mean(grown > 0)) < 0.3:
        return values
    rates = np.full(len(values), np.nan)
    rates[known[1:]] = np.where(grown >= 0, grown / np.diff(known), np.nan)
    return rates


def _load_ratios(series: Mapping[tuple[str, str], Values], where: Spans) -> dict[str, float]:
    """How many times the usual work each service was asked for; at least 1. Where it is not measured, the median over the others."""
    ratios: dict[str, list[float]] = {}
    for (service, metric), values in series.items():
        if meaning(metric).group == "workload":
            moved = shift(values, where)
            ratios.setdefault(service, []).append(moved.now / moved.usual if moved.up > moved.down and moved.usual > 0 else 1.0)
    known = {service: min(max(1.0, float(np.median(found))), 20.0) for service, found in ratios.items()}
    everywhere = float(np.median(list(known.values()))) if known else 1.0
    return {service: known.get(service, everywhere) for service, _ in series}


def _evidence(key: tuple[str, str], values: Values, where: Spans, load: float) -> _Evidence | None:
    service, metric = key
    means = meaning(metric)
    if means.group == "errors" and not np.isfinite(values[where.before]).any():
        values = np.nan_to_num(values)  # a counter of errors appears with the first error
    moved = shift(values, where)
    size = {"up": moved.up, "down": moved.down, "both": max(moved.up, moved.down)}[means.bad]
    if means.with_load and load > 1.0 and moved.up > moved.down and moved.now > moved.usual > 0.0:
        expected = moved.usual * (load - 1.0) * means.with_load
        size *= max(0.0, 1.0 - expected / (moved.now - moved.usual))
    return _Evidence(service, metric, means, moved, size) if size > 0.5 else None


def _gone(series: Mapping[tuple[str, str], Values], where: Spans) -> list[_Evidence]:
    """Services that were measured before the onset, and hardly after it."""
    seen: dict[str, list[Values]] = {}
    for (service, _), values in series.items():
        seen.setdefault(service, []).append(np.isfinite(values))
    found = []
    for service, columns in seen.items():
        present = np.any(columns, axis=0)
        before, after = float(present[where.before].mean()), float(present[where.after].mean())
        if before > _GONE and after < 1.0 - _GONE:
            moved = Shift(0.0, 100.0, before, after)
            found.append(_Evidence(service, "share of rows with any value", meaning("up"), moved, 100.0))
    return found if len(found) <= len(seen) / 2 else []  # else it is the collection that failed


def _weigh(evidence: Sequence[_Evidence], series: Mapping[tuple[str, str], Values], incident: Incident, where: Spans) -> list[_Evidence]:
    slo = _violated(incident, evidence)
    promised = series.get(slo) if slo else None
    travelling: dict[tuple[str, str], float] = {}
    for e in evidence:
        if e.means.travels:
            travelling[(e.service, e.means.group)] = max(e.size, travelling.get((e.service, e.means.group), 0.0))
    weighted = []
    for e in evidence:
        weight = e.means.weight
        if promised is not None and (e.service, e.metric) in series:
            weight *= 0.6 + 0.4 * max(0.0, _correlation(series[(e.service, e.metric)], promised, where, e.moved))
        if e.means.travels:
            below = max((_symptom(travelling, callee) for callee in incident.graph.callees(e.service) - {e.service}), default=0.0)
            weight *= 1.0 - EXPLAINED_AWAY * min(1.0, below / e.size)
        weighted.append(_Evidence(e.service, e.metric, e.means, e.moved, e.size, weight * float(np.log1p(e.size))))
    return weighted


def _symptom(travelling: Mapping[tuple[str, str], float], service: str) -> float:
    return max((size for (of, _), size in travelling.items() if of == service), default=0.0)


def _violated(incident: Incident, evidence: Sequence[_Evidence]) -> tuple[str, str] | None:
    """The objective that was named; else what moved most of what users see: latency and errors of services that nobody calls."""
    if incident.slo is not None:
        return incident.slo
    seen = [e for e in evidence if e.means.group in ("latency", "errors") and not incident.graph.callers(e.service)]
    worst = max(seen, key=lambda e: e.size, default=None)
    return (worst.service, worst.metric) if worst is not None and worst.size >= _WORTH_NAMING else None


def _correlation(values: Values, promised: Values, where: Spans, moved: Shift) -> float:
    """Pearson's, over all rows in question, of ranks; signed so that a bad move together with the objective is positive."""
    a, b = values[where.whole], promised[where.whole]
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 10:
        return 0.0
    ranked = [np.argsort(np.argsort(x[both], kind="stable"), kind="stable").astype(float) for x in (a, b)]
    deviations = [x - x.mean() for x in ranked]
    size = float(np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    found = float((deviations[0] * deviations[1]).sum()) / size if size > 0 else 0.0
    return found if moved.up >= moved.down else -found


def _rank(evidence: Sequence[_Evidence]) -> tuple[Cause, ...]:
    by_service: dict[str, list[_Evidence]] = {}
    for e in evidence:
        by_service.setdefault(e.service, []).append(e)
    scored = []
    for service, found in by_service.items():
        strongest = _one_a_group(found)
        score = sum(e.strength * share for e, share in zip(strongest, _FURTHER, strict=False))
        scored.append((score, service, strongest))
    scored.sort(key=lambda s: (-s[0], s[1]))
    best = scored[0][0] if scored else 0.0
    return tuple(
        Cause(service, _kind(found), round(_confidence(score, best), 4), _words(found))
        for score, service, found in scored[:AT_MOST]
        if score >= 0.2 * best
    )


def _one_a_group(found: Sequence[_Evidence]) -> list[_Evidence]:
    """Strongest first; the five percentiles of one latency are one piece of evidence."""
    best: dict[str, _Evidence] = {}
    for e in sorted(found, key=lambda e: -e.strength):
        best.setdefault(e.means.group, e)
    return list(best.values())


def _confidence(score: float, best: float) -> float:
    return score / (score + 1.5) * (score / best) ** 0.5 if best > 0 else 0.0


def _kind(found: Sequence[_Evidence]) -> str:
    worth = {e.means.kind: e.strength * _KIND_BONUS.get(e.means.kind or "", 1.0) for e in reversed(found) if e.means.kind}
    return max(worth, key=lambda k: worth[k]) if worth else "latency"


def _words(found: Sequence[_Evidence]) -> str:
    return "; ".join(f"{e.metric} {e.moved.usual:.4g} -> {e.moved.now:.4g} ({e.size:.1f} scales)" for e in found[:3])
