"""The parts of OpenSLO v1 that are read, and how a file of them is taken apart. What is not named here is left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.scenario import document
from harness.scenario.explain import problems_of
from harness.scenario.problem import Positions, Problem, ScenarioError, did_you_mean

API_VERSION = "openslo/v1"
SOURCE = "gauntlet"  # the `type` of metric sources that are SLIs of a run
Op = Literal["lte", "gte", "lt", "gt"]
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BORDER = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Metadata(_Part):
    name: str
    annotations: dict[str, str] = Field(default_factory=dict)


class MetricSource(_Part):
    type: str | None = None
    spec: dict[str, Any] = Field(default_factory=dict)


class Metric(_Part):
    source: MetricSource = Field(alias="metricSource")


class RatioMetric(_Part):
    good: Metric | None = None
    bad: Metric | None = None
    raw: Metric | None = None


class IndicatorSpec(_Part):
    threshold: Metric | None = Field(default=None, alias="thresholdMetric")
    ratio: RatioMetric | None = Field(default=None, alias="ratioMetric")


class Indicator(_Part):
    metadata: Metadata
    spec: IndicatorSpec


class Objective(_Part):
    op: Op | None = None
    value: float | None = None
    target: Annotated[float, Field(ge=0, lt=1)] | None = None
    target_percent: Annotated[float, Field(ge=0, lt=100)] | None = Field(default=None, alias="targetPercent")
    indicator: dict[str, Any] | None = None
    indicator_ref: str | None = Field(default=None, alias="indicatorRef")

    @property
    def share(self) -> float | None:
        """Of the requests that must be good."""
        return self.target if self.target_percent is None else round(self.target_percent / 100.0, 12)


class Condition(_Part):
    kind: str = "burnrate"
    op: Op | None = None
    threshold: float
    window: str = Field(alias="lookbackWindow")
    after: str = Field(default="0m", alias="alertAfter")


class ConditionSpec(_Part):
    condition: Condition


class AlertCondition(_Part):
    metadata: Metadata
    spec: ConditionSpec


class AlertPolicySpec(_Part):
    conditions: list[dict[str, Any]] = Field(default_factory=list)


class AlertPolicy(_Part):
    metadata: Metadata
    spec: AlertPolicySpec


class SLOSpec(_Part):
    service: str = ""
    indicator: Indicator | None = None
    indicator_ref: str | None = Field(default=None, alias="indicatorRef")
    budgeting_method: Literal["Occurrences", "Timeslices", "RatioTimeslices"] = Field(default="Occurrences", alias="budgetingMethod")
    objectives: list[Objective] = Field(min_length=1)
    alert_policies: list[str | dict[str, Any]] = Field(default_factory=list, alias="alertPolicies")


class SLO(_Part):
    metadata: Metadata
    spec: SLOSpec


_KINDS: dict[str, type[_Part]] = {"SLO": SLO, "SLI": Indicator, "AlertPolicy": AlertPolicy, "AlertCondition": AlertCondition}
_OTHERS = ("DataSource", "Service", "AlertNotificationTarget")


def read(text: str, path: str) -> list[tuple[str, Any]]:
    """(kind, document) of a file with any number of documents. Raises ScenarioError with every problem, at its place."""
    found: list[tuple[str, Any]] = []
    problems: list[Problem] = []
    for part in _parts(text):
        try:
            data, positions = document.parse(part, path)
            if (one := _document(data, positions, path)) is not None:
                found.append(one)
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(problems)
    if not found:
        hint = f"write `apiVersion: {API_VERSION}` and `kind: SLO`"
        raise ScenarioError([Problem(path, 1, 1, "there is no OpenSLO document in it", hint)])
    return found


def parsed(model: type[Any], data: dict[str, Any]) -> Any:
    """An object that stands inside another one. Raises ValueError."""
    return model.model_validate(data)


def seconds(shorthand: str) -> float:
    """Of a `duration-shorthand`. Raises ValueError for what has no fixed length, or is none."""
    match = re.fullmatch(r"(\d+)([mhdw])", shorthand)
    if match is None:
        raise ValueError(f"{shorthand!r} is no number of minutes, hours, days or weeks")
    return float(match[1]) * _SECONDS[match[2]]


def _parts(text: str) -> Iterator[str]:
    """The documents of a file, each with as many empty lines before it as there are lines before it in the file."""
    start = 0
    for match in [*_BORDER.finditer(text), None]:
        end = match.start() if match else len(text)
        body = text[start:end]
        if any(line.strip() and not line.lstrip().startswith("#") for line in body.splitlines()):
            yield "\n" * text.count("\n", 0, start) + body
        start = match.end() if match else end


def _document(data: dict[str, Any], positions: Positions, path: str) -> tuple[str, Any] | None:
    version, kind = data.get("apiVersion"), data.get("kind")
    if version != API_VERSION:
        at = positions.value(("apiVersion",))
        raise ScenarioError([Problem(path, at.line, at.column, f"apiVersion is {version!r}", f"write `apiVersion: {API_VERSION}`")])
    if kind in _OTHERS:
        return None
    if kind not in _KINDS:
        at = positions.value(("kind",))
        raise ScenarioError([Problem(path, at.line, at.column, f"no kind {kind!r}", did_you_mean(str(kind), (*_KINDS, *_OTHERS)))])
    try:
        return kind, _KINDS[kind].model_validate(data)
    except ValidationError as error:
        raise ScenarioError(problems_of(error, _KINDS[kind], data, positions, path)) from None
