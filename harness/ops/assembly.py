"""The operator put together: the same for a run, for a watch and for a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.ops.monitoring.symptoms import SymptomRules
from harness.ops.operator import Alerting, Operator, Voice
from harness.ops.recovery.strategies import StrategyError, choices_of
from harness.ops.targets import Targets, TargetsError
from harness.ops.voice import log
from harness.record.clock import Clock

if TYPE_CHECKING:
    from harness.ops.alerting.notifier import Notifier
    from harness.ops.alerting.rule_alerts import RuleAlerts


def assemble(targets: Targets, voice: Voice, alerting: Alerting | None = None) -> Operator:
    """An operator that has not looked yet. `alerting`: where its alerts come from, if not from symptoms that last. Raises TargetsError."""
    try:
        choices = choices_of(targets.strategies)
    except StrategyError as error:
        raise TargetsError(f"recovery.strategies: {error}") from error
    rules = SymptomRules(latency_limit_s=targets.promised_p95_s, entry=targets.entry)
    return Operator(targets, voice, rules, alerting=alerting, choices=choices)


def rules_of(targets: Targets, wall_offset_s: float) -> RuleAlerts | None:
    """Alerts by the rule files of the targets, where there are any. Raises TargetsError."""
    if not targets.rules:
        return None
    from harness.ops.alerting.rule_alerts import RuleAlerts
    from harness.ops.alerting.rules.reading import RulesError, read
    from harness.ops.monitoring.detectors.registry import UnknownDetectorError

    try:
        groups = tuple(group for path in targets.rules for group in read(path))
        return RuleAlerts(groups, targets.time_scale, wall_offset_s, log)
    except (RulesError, UnknownDetectorError) as error:
        raise TargetsError(str(error)) from error


def notifier_of(targets: Targets, voice: Voice, wall_offset_s: float, clock: Clock) -> Notifier | None:
    """Where the targets say who is to be told. Raises TargetsError."""
    if targets.notify is None:
        return None
    from harness.ops.alerting.channels.config import NotifyError, read_notify
    from harness.ops.alerting.notifier import Notifier

    try:
        return Notifier(voice, read_notify(targets.notify, targets.directory, targets.time_scale), wall_offset_s, clock, log)
    except NotifyError as error:
        raise TargetsError(str(error)) from error
