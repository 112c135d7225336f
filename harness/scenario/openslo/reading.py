"""OpenSLO v1 documents as objectives and burn-rate rules of a scenario, and a word on each that cannot be judged here.

The queries of another metric source are not read: what a run measures are its own requests. A ratio of good requests becomes `availability`
(or what it is mapped to); a threshold metric must be mapped, because nothing says what its values are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from harness.scenario.indicator import indicator
from harness.scenario.openslo import documents
from harness.scenario.openslo.documents import SLO, SOURCE, AlertCondition, AlertPolicy, Metric, Objective
from harness.scenario.slis import sli_name
from harness.scenario.units import plain

_MAPPED = re.compile(r"(?P<sli>[a-z_]+[0-9]*)(?::(?P<unit>ms|s))?")
_UNIT_S = {None: 1.0, "s": 1.0, "ms": 0.001}
_OPS = {"lte": "<=", "lt": "<"}
Named = Mapping[tuple[str, str], Any]  # documents by kind and name


@dataclass(slots=True)
class Imported:
    """Parts of a scenario, and what could not become one."""

    objectives: dict[str, dict[str, str]] = field(default_factory=dict)
    burn_rates: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class MappingError(ValueError):
    """`NAME=SLI` that names no SLI; the message says what to write."""


@dataclass(frozen=True, slots=True)
class _Mapped:
    """What an SLO is read as: an SLI (of a percentile, its family) in its unit, in a phase."""

    sli: str
    unit_s: float
    phase: str
    of: str
    asked: bool = True  # False: only a rule wants its budget


class _LeftOutError(Exception):
    """The message says why."""


def mapping(texts: Sequence[str]) -> dict[str, tuple[str, float]]:
    """`checkout-latency=latency:ms` and the like: SLO, SLI or family, seconds in a unit. Raises MappingError."""
    found = {}
    for text in texts:
        name, _, given = text.partition("=")
        match = _MAPPED.fullmatch(given)
        if not name or match is None:
            raise MappingError(f"{text!r} maps nothing; write NAME=availability, NAME=latency or NAME=latency:ms")
        try:
            sli_name(match["sli"] if match["sli"] not in ("latency", "ttft", "tpot", "max_gap") else f"{match['sli']}_p95")
        except ValueError as error:
            raise MappingError(f"{text!r}: {error}") from error
        found[name] = (match["sli"], _UNIT_S[match["unit"]])
    return found


def read(text: str, path: str, *, phase: str = "steady_state", mapped: Mapping[str, tuple[str, float]] | None = None) -> Imported:
    """Everything of a file that can be judged. Raises ScenarioError for one that is no OpenSLO v1."""
    found = documents.read(text, path)
    named = {(kind, one.metadata.name): one for kind, one in found}
    imported = Imported()
    for kind, slo in found:
        if kind == "SLO":
            _slo(imported, slo, named, phase, mapped or {})
    return imported


def _slo(imported: Imported, slo: SLO, named: Named, phase: str, mapped: Mapping[str, tuple[str, float]]) -> None:
    try:
        read_as = _read_as(slo, named, phase, mapped)
        if slo.spec.budgeting_method != "Occurrences":
            raise _LeftOutError(f"its budget is one of time ({slo.spec.budgeting_method}), and objectives here count requests")
        limits = [_limit(read_as, objective) for objective in slo.spec.objectives]
    except _LeftOutError as error:
        imported.notes.append(f"{slo.metadata.name}: left out: {error}")
        return
    for key, limit in limits:
        asked = imported.objectives.setdefault(read_as.phase, {}) if read_as.asked else {}
        if asked.setdefault(key, limit) != limit:
            imported.notes.append(f"{slo.metadata.name}: left out: {key} has the limit {asked[key]} already")
            continue
        for policy in slo.spec.alert_policies:
            _policy(imported, slo, policy, named, {key: limit})


def _read_as(slo: SLO, named: Named, phase: str, mapped: Mapping[str, tuple[str, float]]) -> _Mapped:
    one = slo.spec.indicator or named.get(("SLI", str(slo.spec.indicator_ref)))
    if one is None:
        raise _LeftOutError(f"there is no SLI {slo.spec.indicator_ref!r} in the file")
    ratio, threshold = one.spec.ratio, one.spec.threshold
    metric: Metric | None = threshold if ratio is None else ratio.good or ratio.bad or ratio.raw
    if metric is None:
        raise _LeftOutError("its SLI has neither a threshold nor a ratio")
    own = metric.source.spec if metric.source.type == SOURCE else {}
    if slo.metadata.name in mapped:
        sli, unit_s = mapped[slo.metadata.name]
    elif own:
        sli, unit_s = str(own.get("sli")), 1.0
    elif ratio is not None:
        sli, unit_s = "availability", 1.0
    else:
        raise _LeftOutError(f"nothing says what its values are; add --map {slo.metadata.name}=latency:ms")
    of = f" of {own['of']}" if "of" in own else ""
    return _Mapped(sli, unit_s, str(own.get("phase", phase)), of, asked=own.get("only") != "burn_rate")


def _limit(read_as: _Mapped, objective: Objective) -> tuple[str, str]:
    """Key and limit of one objective."""
    share = objective.share
    if objective.indicator is not None or objective.indicator_ref is not None:
        raise _LeftOutError("it is composed of others")
    if share is None:
        raise _LeftOutError("it has no target")
    if objective.op is None and objective.value is None:
        try:
            sli = sli_name(read_as.sli)
        except ValueError as error:
            raise _LeftOutError(str(error)) from error
        limit = f">= {_percent(share)}" if sli.good == "higher" else f"<= {_percent(1.0 - share)}"
        return indicator(f"{read_as.sli}{read_as.of}").text, limit
    if objective.op not in _OPS or objective.value is None:
        raise _LeftOutError(f"its values are good when they are large ({objective.op}), and no duration is")
    try:
        key = indicator(f"{read_as.sli}_p{plain(round(share * 100.0, 9))}{read_as.of}").text
    except ValueError as error:
        raise _LeftOutError(str(error)) from error
    return key, f"{_OPS[objective.op]} {plain(round(objective.value * read_as.unit_s, 9))}s"


def _policy(imported: Imported, slo: SLO, policy: str | dict[str, Any], named: Named, objective: dict[str, str]) -> None:
    name = slo.metadata.name
    try:
        given = policy.get("alertPolicyRef", policy) if isinstance(policy, dict) else policy
        one = named.get(("AlertPolicy", given)) if isinstance(given, str) else documents.parsed(AlertPolicy, given)
        if one is None:
            raise _LeftOutError(f"there is no AlertPolicy {given!r} in the file")
        for condition in one.spec.conditions:
            ref = condition.get("conditionRef")
            found = named.get(("AlertCondition", str(ref))) if ref is not None else documents.parsed(AlertCondition, condition)
            if found is None:
                raise _LeftOutError(f"there is no AlertCondition {ref!r} in the file")
            _condition(imported, slo, found, objective)
    except _LeftOutError as error:
        imported.notes.append(f"{name}: alert policy left out: {error}")
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        imported.notes.append(f"{name}: alert policy left out: {'.'.join(str(part) for part in wrong['loc'])}: {wrong['msg']}")


def _condition(imported: Imported, slo: SLO, one: AlertCondition, objective: dict[str, str]) -> None:
    given, notes = one.spec.condition, {k.removeprefix(f"{SOURCE}/"): v for k, v in one.metadata.annotations.items()}
    if given.kind != "burnrate" or given.op not in ("gt", "gte"):
        raise _LeftOutError(f"{one.metadata.name} fires on {given.kind} {given.op}, and only a burn rate that exceeds (gt) is one here")
    try:
        long_s, after_s = documents.seconds(given.window), documents.seconds(given.after)
    except ValueError as error:
        raise _LeftOutError(f"{one.metadata.name}: {error}") from error
    if after_s:
        dropped = f"alertAfter {given.after} of {one.metadata.name} is dropped: here a short window does its work"
        imported.notes.append(f"{slo.metadata.name}: {dropped}")
    rule: dict[str, Any] = {"id": _unique(imported, one.metadata.name), "objective": objective, "long": f"{plain(long_s)}s"}
    rule |= {"short": notes["short-window"]} if "short-window" in notes else {}
    rule |= {"factor": given.threshold}
    rule |= {"min_events": int(notes["min-events"])} if notes.get("min-events", "").isdecimal() else {}
    rule |= {"fires": notes["fires"]} if notes.get("fires", "never") != "never" else {}
    rule |= {"within": notes["within"]} if "within" in notes else {}
    rule |= {"phases": notes["phases"].split()} if "phases" in notes else {}
    imported.burn_rates.append(rule)


def _unique(imported: Imported, name: str) -> str:
    taken = {rule["id"] for rule in imported.burn_rates}
    name = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "rule"
    return next(one for n in range(1, len(taken) + 2) if (one := name if n == 1 else f"{name}-{n}") not in taken)


def _percent(share: float) -> str:
    return f"{plain(round(share * 100.0, 9))}%"
