"""The desk: takes changes of alerts, and decides what is told, when, and of what nothing is said.

Groups, silences and inhibitions work as in Alertmanager's dispatcher. Beside them: a cooldown for alerts that come and go, and escalation
of what nobody acknowledges. It reads no clock: the caller says what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.ops.alerting.life.history import History, Past
from harness.ops.alerting.life.policy import Policy
from harness.ops.monitoring.alerts import Alert

State = Literal["firing", "suppressed", "resolved"]
GroupKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told: the alerts of one group that fire, and those that have ended since it was last told."""

    why: Literal["group", "repeat", "escalation"]
    group: GroupKey
    alerts: tuple[Alert, ...]


@dataclass(slots=True)
class _Tracked:
    alert: Alert
    quiet_until_s: float  # cooldown
    suppressed_by: str = ""
    told_s: float | None = None
    first_told_s: float | None = None
    ended_s: float | None = None
    acknowledged_s: float | None = None
    escalated: bool = False

    @property
    def over(self) -> bool:
        return self.ended_s is not None


@dataclass(slots=True)
class _Group:
    due_s: float
    told_s: float | None = None
    told: frozenset[str] = frozenset()  # fingerprints that fired when it was last told
    members: dict[str, _Tracked] = field(default_factory=dict)


@dataclass(slots=True)
class Desk:
    """`step` is called once a round, with the changes of that round and also without any."""

    policy: Policy
    history: History = field(default_factory=History)
    _groups: dict[GroupKey, _Group] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)  # fingerprint -> when it last ended

    def step(self, t_s: float, changes: Iterable[Alert] = ()) -> list[Notification]:
        """What is to be told now."""
        for alert in changes:
            self._take(t_s, alert)
        self._suppress(t_s)
        told = [n for key, group in self._groups.items() if (n := self._flush(t_s, key, group)) is not None]
        told += self._escalate(t_s)
        self._sweep(t_s)
        return told

    def acknowledge(self, fingerprint: str, t_s: float) -> bool:
        """Somebody has seen it: it is not escalated. False where it does not fire."""
        tracked = self._find(fingerprint)
        if tracked is None or tracked.over:
            return False
        if tracked.acknowledged_s is None:
            tracked.acknowledged_s = t_s
        return True

    def states(self) -> Mapping[str, State]:
        """Of each alert at the desk, by fingerprint."""
        return {
            fingerprint: "resolved" if one.over else "suppressed" if one.suppressed_by else "firing"
            for group in self._groups.values()
            for fingerprint, one in group.members.items()
        }

    def suppressed_by(self, fingerprint: str) -> str:
        """Why nothing is said of it: silence, inhibition, cooldown; empty where it is told."""
        tracked = self._find(fingerprint)
        return tracked.suppressed_by if tracked else ""

    def _find(self, fingerprint: str) -> _Tracked | None:
        return next((g.members[fingerprint] for g in self._groups.values() if fingerprint in g.members), None)

    def _take(self, t_s: float, alert: Alert) -> None:
        key = tuple((name, alert.labels.get(name, "")) for name in self.policy.group_by)
        group = self._groups.setdefault(key, _Group(t_s + self.policy.scaled(self.policy.group_wait_s)))
        tracked = group.members.get(alert.fingerprint)
        if alert.ends_at_s is not None:
            if tracked is not None and not tracked.over:
                tracked.alert, tracked.ended_s = alert, t_s
                self._remember(tracked)
            return
        if tracked is not None and not tracked.over:
            tracked.alert = alert
            return
        quiet_s = self._ended.get(alert.fingerprint, float("-inf")) + self.policy.scaled(self.policy.cooldown_s)
        fresh = _Tracked(alert, quiet_s if self.policy.cooldown_s else float("-inf"))
        if tracked is not None:  # its end has not been told yet, and need not be
            fresh.told_s, fresh.first_told_s = tracked.told_s, tracked.first_told_s
        group.members[alert.fingerprint] = fresh

    def _remember(self, tracked: _Tracked) -> None:
        alert, labels = tracked.alert, tracked.alert.labels
        assert tracked.ended_s is not None
        self._ended[alert.fingerprint] = tracked.ended_s
        name, service, severity = (labels.get(label, "") for label in ("alertname", "service", "severity"))
        told = tracked.told_s is not None
        past = Past(name, service, severity, alert.starts_at_s, tracked.ended_s, tracked.acknowledged_s, tracked.escalated, told)
        self.history.add(past)

    def _suppress(self, t_s: float) -> None:
        """Anew in each step: a silence may end, and so may what inhibits."""
        active = [one for group in self._groups.values() for one in group.members.values() if not one.over]
        firing = [one.alert.labels for one in active]
        for one in active:
            labels = one.alert.labels
            if any(silence.holds(labels, t_s) for silence in self.policy.silences):
                one.suppressed_by = "silence"
            elif any(rule.holds(labels, firing) for rule in self.policy.inhibitions):
                one.suppressed_by = "inhibition"
            else:
                one.suppressed_by = "cooldown" if t_s < one.quiet_until_s else ""

    def _flush(self, t_s: float, key: GroupKey, group: _Group) -> Notification | None:
        if t_s < group.due_s:
            return None
        firing = {f: one for f, one in group.members.items() if not one.over and not one.suppressed_by}
        ended = [one for one in group.members.values() if one.over and one.told_s is not None]
        repeat_s = self.policy.scaled(self.policy.repeat_interval_s)
        fresh = any(f not in group.told for f in firing) or bool(ended)
        repeats = bool(firing) and group.told_s is not None and t_s - group.told_s >= repeat_s
        if not fresh and not repeats:
            group.told &= frozenset(firing)  # what is suppressed now is told again when it is not
            return None
        for one in firing.values():
            one.told_s = t_s
            one.first_told_s = t_s if one.first_told_s is None else one.first_told_s
        for one in ended:
            one.told_s = None  # its end is told once
        group.told, group.told_s = frozenset(firing), t_s
        group.due_s = t_s + self.policy.scaled(self.policy.group_interval_s)
        alerts = (*(one.alert for one in firing.values()), *(one.alert for one in ended))
        return Notification("group" if fresh else "repeat", key, alerts)

    def _escalate(self, t_s: float) -> list[Notification]:
        found: list[Notification] = []
        for key, group in self._groups.items():
            for one in group.members.values():
                after_s = self.policy.escalate_after_s.get(one.alert.labels.get("severity", ""))
                if after_s is None or one.over or one.suppressed_by or one.escalated or one.acknowledged_s is not None:
                    continue
                if one.first_told_s is not None and t_s - one.first_told_s >= self.policy.scaled(after_s):
                    one.escalated = True
                    found.append(Notification("escalation", key, (one.alert,)))
        return found

    def _sweep(self, t_s: float) -> None:
        """Forget what is over and told, groups without members, and ends that no cooldown asks for."""
        for key, group in list(self._groups.items()):
            group.members = {f: one for f, one in group.members.items() if not one.over or one.told_s is not None}
            if not group.members and (group.told_s is None or t_s >= group.due_s):
                del self._groups[key]
        quiet_s = self.policy.scaled(self.policy.cooldown_s)
        self._ended = {f: ended_s for f, ended_s in self._ended.items() if t_s - ended_s < quiet_s}
