"""Evaluates rules round after round: series that rules record, and alerts that are pending, fire and end.

States and times as rules/alerting.go of Prometheus 2 has them: `for`, `keep_firing_for`, one alert for each set of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.ops.alerting.promql.evaluate import Moment, evaluate, holds
from harness.ops.alerting.promql.series import Labels, SeriesStore, labels_of
from harness.ops.alerting.promql.syntax import NAME
from harness.ops.alerting.promql.vectors import EvaluationError, nameless
from harness.ops.alerting.rules.model import AlertRule, Group, RecordingRule, Rule

PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"
EARLY_MS = 100  # a round comes that much before its group is due, and is meant for it


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """One alert of a rule. Times are milliseconds of the wall clock."""

    rule: AlertRule
    labels: Labels
    annotations: Mapping[str, str]
    state: str
    value: float
    active_at_ms: int
    fired_at_ms: int | None = None
    kept_since_ms: int | None = None  # its condition has ended, and `keep_firing_for` has not
    resolved_at_ms: int | None = None


@dataclass(slots=True)
class RuleEngine:
    """Holds the alerts of all rules, and what each rule has written. `step` is called once a round."""

    groups: Sequence[Group]
    store: SeriesStore
    time_scale: float = 1.0
    failures: dict[str, str] = field(default_factory=dict)  # place of a rule -> why its last evaluation failed
    _alerts: dict[str, dict[Labels, RuleAlert]] = field(default_factory=dict)
    _written: dict[str, set[Labels]] = field(default_factory=dict)
    _due_ms: dict[int, int] = field(default_factory=dict)

    def step(self, t_ms: int) -> list[RuleAlert]:
        """Evaluate what is due. Returns the alerts that are pending or fire now, and those that ended in this step."""
        ended: list[RuleAlert] = []
        for n, group in enumerate(self.groups):
            if t_ms < self._due_ms.get(n, t_ms) - EARLY_MS:
                continue
            self._due_ms[n] = t_ms + round((group.interval_s or 0.0) * 1000 / self.time_scale)
            for rule in group.rules:
                ended += self._evaluate(rule, f"{rule.place}", Moment(self.store, t_ms, self.time_scale))
        return [one for alerts in self._alerts.values() for one in alerts.values()] + ended

    def _evaluate(self, rule: Rule, key: str, moment: Moment) -> list[RuleAlert]:
        """A rule that fails keeps what it had, and says so."""
        ended: list[RuleAlert] = []
        try:
            if isinstance(rule, RecordingRule):
                written = self._record(rule, moment)
            else:
                self._alerts[key], ended = self._alert(rule, self._alerts.get(key, {}), moment)
                written = {_series_of(one): 1.0 for one in self._alerts[key].values()}
        except EvaluationError as error:
            self.failures[key] = str(error)
            return []
        self.failures.pop(key, None)
        self._write(key, written, moment.t_ms)
        return ended

    def _record(self, rule: RecordingRule, moment: Moment) -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        for element in holds(evaluate(rule.expr, moment)):
            labels = labels_of({**dict(element.labels), **rule.labels, NAME: rule.record})
            _only_once(found, labels)
            found[labels] = element.value
        return found

    def _write(self, key: str, written: Mapping[Labels, float], t_ms: int) -> None:
        """Series of their own, which end when the rule has no more of them."""
        for labels, value in written.items():
            self.store.append(labels, t_ms, value)
        self.store.end(self._written.get(key, set()) - written.keys(), t_ms)
        self._written[key] = set(written)

    def _alert(
        self, rule: AlertRule, before: Mapping[Labels, RuleAlert], moment: Moment
    ) -> tuple[dict[Labels, RuleAlert], list[RuleAlert]]:
        """What is there now, and what has ended."""
        now, ended = self._conditions(rule, moment), []
        found: dict[Labels, RuleAlert] = {}
        for labels, known in {**now, **before}.items():
            if labels in now:
                one = replace(known, value=now[labels].value, annotations=now[labels].annotations, kept_since_ms=None)
            elif known.state == FIRING and self._kept(rule, known, moment.t_ms):
                one = replace(known, kept_since_ms=known.kept_since_ms if known.kept_since_ms is not None else moment.t_ms)
            else:
                if known.state == FIRING:
                    ended.append(replace(known, state=RESOLVED, resolved_at_ms=moment.t_ms))
                continue
            if one.state == PENDING and moment.t_ms - one.active_at_ms >= self._scaled_ms(rule.for_s):
                one = replace(one, state=FIRING, fired_at_ms=moment.t_ms)
            found[labels] = one
        return found, ended

    def _conditions(self, rule: AlertRule, moment: Moment) -> dict[Labels, RuleAlert]:
        found: dict[Labels, RuleAlert] = {}
        for element in holds(evaluate(rule.expr, moment)):
            own = dict(nameless(element.labels))
            said = {name: template.expand(own, element.value) for name, template in rule.labels.items()}
            labels = labels_of({**own, **said, "alertname": rule.alert})
            _only_once(found, labels)
            annotations = {name: template.expand(own, element.value) for name, template in rule.annotations.items()}
            found[labels] = RuleAlert(rule, labels, annotations, PENDING, element.value, moment.t_ms)
        return found

    def _kept(self, rule: AlertRule, known: RuleAlert, t_ms: int) -> bool:
        since_ms = known.kept_since_ms if known.kept_since_ms is not None else t_ms
        return rule.keep_firing_for_s > 0 and t_ms - since_ms < self._scaled_ms(rule.keep_firing_for_s)

    def _scaled_ms(self, duration_s: float) -> float:
        return duration_s * 1000 / self.time_scale


def _only_once(found: Iterable[Labels], labels: Labels) -> None:
    if labels in found:
        raise EvaluationError("vector contains metrics with the same labelset after applying rule labels")


def _series_of(alert: RuleAlert) -> Labels:
    """`ALERTS{alertname=…, alertstate=…}`, which other rules may ask for."""
    return labels_of({**dict(alert.labels), "alertstate": alert.state, NAME: "ALERTS"})
