"""How alerts are told, as data: in Alertmanager's words, with a cooldown and escalation beside them.

https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.ops.alerting.promql.syntax import Matcher, pattern

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s]*))\s*')

Matchers = tuple[Matcher, ...]


class PolicyError(ValueError):
    """A matcher that cannot be read."""


def matcher(text: str) -> Matcher:
    """`service="llm"`, `alertname =~ "Call.*"`. Raises PolicyError."""
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise PolicyError(f'{text!r} is no matcher; write label="value", or one of != =~ !~')
    value = re.sub(r"\\(.)", r"\1", match[3]) if match[3] is not None else match[4]
    if match[2].endswith("~"):
        try:
            pattern(value)
        except re.error as error:
            raise PolicyError(f"{text!r}: no regular expression: {error}") from error
    return Matcher(match[1], match[2], value)


def all_match(matchers: Matchers, labels: Mapping[str, str]) -> bool:
    return all(one.matches(labels) for one in matchers)


@dataclass(frozen=True, slots=True)
class Silence:
    """No word of matching alerts while start <= t < end."""

    matchers: Matchers
    starts_s: float = float("-inf")
    ends_s: float = float("inf")
    comment: str = ""

    def holds(self, labels: Mapping[str, str], t_s: float) -> bool:
        return self.starts_s <= t_s < self.ends_s and all_match(self.matchers, labels)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """No word of a target while a source fires that has the same values of `equal`. Nothing inhibits itself."""

    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str], firing: Sequence[Mapping[str, str]]) -> bool:
        if not all_match(self.target, labels):
            return False
        both = all_match(self.source, labels)  # what is a source, too, is inhibited only by what is no target
        return any(
            all_match(self.source, other)
            and all(other.get(name, "") == labels.get(name, "") for name in self.equal)
            and not (both and all_match(self.target, other))
            for other in firing
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """All durations in seconds, uncompressed; `time_scale` divides them."""

    group_by: tuple[str, ...] = ("alertname", "service")
    group_wait_s: float = 0.0  # a new group is told after that long
    group_interval_s: float = 10.0  # changes of a group that was told: not more often than that
    repeat_interval_s: float = 3600.0  # what has not changed is told again
    cooldown_s: float = 0.0  # fires again that soon after its end: not told before that
    escalate_after_s: Mapping[str, float] = field(default_factory=dict)  # severity -> time without an acknowledgement
    silences: tuple[Silence, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    time_scale: float = 1.0

    def scaled(self, duration_s: float) -> float:
        return duration_s / self.time_scale


DEFAULT_INHIBITIONS = (
    Inhibition(
        source=(Matcher("alertname", "=~", "InstanceDown|ServiceDown|ProbeFailed"),),
        target=(Matcher("alertname", "=~", "CallsFailing|CircuitOpen|ServiceErrors|ModelUnavailable"),),
        equal=("service",),
    ),
    Inhibition(source=(Matcher("alertname", "=", "ServiceDown"),), target=(Matcher("alertname", "=", "InstanceDown"),), equal=("service",)),
    Inhibition(source=(Matcher("alertname", "=", "CpuSaturated"),), target=(Matcher("alertname", "=", "CpuHigh"),), equal=("instance",)),
)
"""Of the rules that come along: a service that is down fails its callers, and is one page, not two."""
