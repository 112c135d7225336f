"""Rules as data, as Prometheus' rule files have them (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.ops.alerting.promql.syntax import Node
from harness.ops.alerting.rules.template import Template

SEVERITIES = ("info", "warning", "error", "critical")
"""From what is good to know to what wakes somebody. A rule file may use others; they rank as `warning`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something is, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """Keeps the value of an expression as a series of its own."""

    record: str
    text: str
    expr: Node
    labels: Mapping[str, str]
    place: Place


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Fires for each element of the expression that has been there for `for_s` seconds (uncompressed)."""

    alert: str
    text: str
    expr: Node
    place: Place
    for_s: float = 0.0
    keep_firing_for_s: float = 0.0
    labels: Mapping[str, Template] = field(default_factory=dict)
    annotations: Mapping[str, Template] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        """As its label says; `warning` where it says nothing, or something else."""
        said = self.labels["severity"].text if "severity" in self.labels else ""
        return said if said in SEVERITIES else "warning"


Rule = RecordingRule | AlertRule


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in their order, every `interval_s` seconds (uncompressed; None: as often as can be)."""

    name: str
    rules: tuple[Rule, ...]
    interval_s: float | None = None
