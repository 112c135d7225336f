"""The alerts of rule files, in the operator: each round is scraped into series, the rules are evaluated, and what changed is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.ops.alerting.anomalies import Anomalies
from harness.ops.alerting.promql.evaluate import LOOKBACK_MS
from harness.ops.alerting.promql.series import Labels, SeriesStore
from harness.ops.alerting.promql.syntax import NAME, Selector, reaches_ms, walk
from harness.ops.alerting.rules.engine import FIRING, RuleAlert, RuleEngine
from harness.ops.alerting.rules.model import Group
from harness.ops.alerting.scraped import KNOWN, Scraped
from harness.ops.monitoring.alerts import Alert
from harness.ops.monitoring.rounds import Round

FORGET_EVERY = 30  # rounds
LATE_MS = 5000
"""Kept longer than is asked for: a round may come late."""


def wanted_metrics(groups: Sequence[Group]) -> frozenset[str] | None:
    """Names that the rules ask for; None where one of them asks for a metric by its labels alone."""
    selectors = [node for group in groups for rule in group.rules for node in walk(rule.expr) if isinstance(node, Selector)]
    names = frozenset(one.name for one in selectors)
    return None if "" in names else names


class Retention:
    """How long the points of a series are kept: as far back as any selector that matches it looks. One rule over six hours of the gateway's
    requests keeps those, and of all other series no more than their own rules ask for.
    """

    def __init__(self, asked: Sequence[tuple[Selector, int]], time_scale: float) -> None:
        self._asked, self._time_scale = asked, time_scale
        self._known: dict[Labels, int] = {}

    def of(self, labels: Labels) -> int:
        """Milliseconds; compressed by the time scale."""
        if labels not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            values = dict(labels)
            name = values.get(NAME, "")
            far = [ms for selector, ms in self._asked if selector.name in ("", name) and selector.matches(values)]
            self._known[labels] = round(max(far, default=0) / self._time_scale) + LATE_MS
        return self._known[labels]


@dataclass(slots=True)
class RuleAlerts:
    """Takes rounds, gives changes: alerts that begin to fire, alerts that are resolved. `log` hears of rules that cannot be evaluated."""

    groups: Sequence[Group]
    time_scale: float
    wall_offset_s: float
    log: Callable[[Mapping[str, Any]], None] = lambda _: None
    _scraped: Scraped = field(init=False)
    _anomalies: Anomalies = field(init=False)
    _engine: RuleEngine = field(init=False)
    _retention: Retention = field(init=False)
    _firing: dict[Labels, Alert] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)
    _rounds: int = 0

    def __post_init__(self) -> None:
        store = SeriesStore()
        self._anomalies = Anomalies.of(self.groups, store, self.time_scale)
        wanted = wanted_metrics(self.groups)
        self._scraped = Scraped(store, self.wall_offset_s, wanted if wanted is None else wanted | self._anomalies.bases)
        self._engine = RuleEngine(self.groups, store, self.time_scale)
        scored = [(Selector(base), LOOKBACK_MS) for base in self._anomalies.bases]
        asked = [one for group in self.groups for rule in group.rules for one in reaches_ms(rule.expr, LOOKBACK_MS)]
        self._retention = Retention([*asked, *scored], self.time_scale)

    @property
    def wanted(self) -> frozenset[str] | None:
        """Names of the metrics that are asked for; None where that may be any."""
        return self._scraped.wanted

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(self._firing.values())

    def changes(self, round_: Round) -> list[Alert]:
        """The alerts that changed in this round."""
        t_ms = self._scraped.take(round_)
        self._anomalies.step(t_ms)
        now = self._engine.step(t_ms)
        self._tell_failures()
        self._rounds += 1
        if self._rounds % FORGET_EVERY == 0:
            self._scraped.store.forget(t_ms, self._retention.of)
        changed = [self._alert(one, None) for one in now if one.state == FIRING and one.labels not in self._firing]
        ended = [self._alert(one, round_.t_s) for one in now if one.resolved_at_ms is not None]
        self._firing = {one.labels: self._firing.get(one.labels) or self._alert(one, None) for one in now if one.state == FIRING}
        return changed + ended

    def _alert(self, one: RuleAlert, ends_at_s: float | None) -> Alert:
        starts_ms = one.fired_at_ms if one.fired_at_ms is not None else one.active_at_ms
        return Alert(dict(one.labels), dict(one.annotations), starts_ms / 1000 - self.wall_offset_s, ends_at_s)

    def _tell_failures(self) -> None:
        """Once, when a rule begins to fail, and when it does no longer."""
        now = self._engine.failures
        for place in now.keys() - self._failures.keys():
            self.log({"what": "rule", "rule": place, "error": now[place]})
        for place in self._failures.keys() - now.keys():
            self.log({"what": "rule", "rule": place, "error": None})
        self._failures = dict(now)
