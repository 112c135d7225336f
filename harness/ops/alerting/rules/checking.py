"""Rules that could never fire, or whose alerts could not be placed: found before anything runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.ops.alerting.anomalies import scored
from harness.ops.alerting.promql.syntax import NAME, Aggregate, Binary, Call, Negate, Node, Number, Range, Selector, Text, walk
from harness.ops.alerting.rules.model import SEVERITIES, AlertRule, Group, Place, RecordingRule, Rule
from harness.ops.alerting.scraped import ADDED
from harness.ops.monitoring.detectors.registry import names
from harness.telemetry import contract

ROUND_S = 1.0  # between two rounds of the operator, before it is compressed
_EXPORTERS = {
    "node_": "node_exporter",
    "container_": "cAdvisor",
    "pg_": "postgres_exporter",
    "redis_": "redis_exporter",
    "DCGM_": "the DCGM exporter",
    "kube_": "kube-state-metrics",
    "probe_": "blackbox_exporter",
}
_OF_ANY = frozenset({"process_max_fds", "process_virtual_memory_bytes", "process_virtual_memory_max_bytes", "python_info", "ALERTS"})
_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a rule. `message` says what, `hint` what to do about it; `silent`: with it, the rule can never fire."""

    place: Place
    message: str
    hint: str = ""
    silent: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.message}{f'; {self.hint}' if self.hint else ''}"


def check(groups: Sequence[Group], *, time_scale: float = 1.0, lasts_s: float | None = None) -> list[Finding]:
    """What is doubtful about rules that can be read. `lasts_s`: for how long at most a condition may hold where they are used."""
    rules = [rule for group in groups for rule in group.rules]
    known = _known(rules)
    found = [one for rule in rules for one in _metrics(rule, known)]
    found += [one for rule in rules for one in _ranges(rule)]
    for rule in rules:
        if isinstance(rule, AlertRule):
            found += [*_constant(rule), *_in_time(rule, time_scale, lasts_s), *_placed(rule, rules)]
    return sorted(found, key=lambda f: (f.place.file, f.place.line, f.place.column))


def _known(rules: Sequence[Rule]) -> frozenset[str]:
    names = {value for name, value in vars(contract).items() if name.isupper() and isinstance(value, str) and "_" in value}
    return frozenset(names | ADDED | _OF_ANY | {rule.record for rule in rules if isinstance(rule, RecordingRule)})


def _metrics(rule: Rule, known: frozenset[str]) -> Iterator[Finding]:
    for name in sorted({node.name for node in walk(rule.expr) if isinstance(node, Selector) and node.name}):
        if name in known or _HISTOGRAM.sub("", name) in known:
            continue
        if (pair := scored(name)) is not None:
            yield from _scored(rule, name, *pair)
            continue
        exporter = next((one for prefix, one in _EXPORTERS.items() if name.startswith(prefix)), None)
        if exporter is not None:
            yield Finding(rule.place, f"{name} is of {exporter}", "where that is not scraped, this rule is silent")
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "nobody in the telemetry contract exposes it (docs/reference-stack.md)"
        yield Finding(rule.place, f"{name} is no metric of the telemetry contract; silent, unless your own services have it", hint, True)


def _scored(rule: Rule, name: str, base: str, detector: str) -> Iterator[Finding]:
    if detector not in names():
        yield Finding(rule.place, f"{name}: there is no detector {detector!r}", f"write one of {', '.join(names())}")
    else:
        yield Finding(rule.place, f"{name} is scored by the operator of gauntlet", f"Prometheus knows {base} alone, and is silent")


def _ranges(rule: Rule) -> Iterator[Finding]:
    for node in walk(rule.expr):
        if isinstance(node, Range) and node.range_ms < 2 * ROUND_S * 1000:
            message = f"a range of {node.range_ms / 1000:g}s holds less than two scrapes"
            yield Finding(rule.place, message, f"write at least {4 * ROUND_S:g}s", silent=True)


def _constant(rule: AlertRule) -> Iterator[Finding]:
    if not any(isinstance(node, Selector) for node in walk(rule.expr)):
        yield Finding(rule.place, f"{rule.alert} looks at no series: it always fires, or never", silent=True)


def _in_time(rule: AlertRule, time_scale: float, lasts_s: float | None) -> Iterator[Finding]:
    for_s = rule.for_s / time_scale
    if lasts_s is not None and for_s >= lasts_s:
        compressed = f", compressed {time_scale:g} times," if time_scale != 1.0 else ""
        hint = f"a time_scale above {rule.for_s / lasts_s:.3g} would do"
        message = f"{rule.alert} can never fire in time: its `for` of {rule.for_s:g}s{compressed} is no less than {lasts_s:g}s"
        yield Finding(rule.place, message, hint, silent=True)


def _placed(rule: AlertRule, rules: Sequence[Rule]) -> Iterator[Finding]:
    severity = rule.labels["severity"].text if "severity" in rule.labels else ""
    if severity not in SEVERITIES and "{{" not in severity:
        named = f"the severity {severity!r} counts as warning" if severity else "has no `severity`, which counts as warning"
        yield Finding(rule.place, f"{rule.alert}: {named}", f"write one of {', '.join(SEVERITIES)}")
    if "service" not in rule.labels and not _keeps(rule.expr, "service", rules):
        yield Finding(
            rule.place, f"{rule.alert} has no label `service`, so no fault is credited with it", "add one, or aggregate `by (service)`"
        )


def _keeps(node: Node, label: str, rules: Sequence[Rule]) -> bool:
    """May the elements have the label? Where that depends on the series, yes."""
    match node:
        case Selector():
            recorded = [rule for rule in rules if isinstance(rule, RecordingRule) and rule.record == node.name]
            equal = [one.value for one in node.matchers if one.label == label and one.op == "="]
            return all(label in rule.labels or _keeps(rule.expr, label, rules) for rule in recorded) and equal != [""]
        case Range():
            return _keeps(node.selector, label, rules)
        case Call():
            return _call_keeps(node, label, rules)
        case Aggregate():
            if node.op in ("topk", "bottomk"):
                return _keeps(node.expr, label, rules)
            return (label in node.labels) != node.without and _keeps(node.expr, label, rules)
        case Binary():
            return _binary_keeps(node, label, rules)
        case Negate():
            return _keeps(node.expr, label, rules)
        case Number() | Text():
            return False


def _call_keeps(node: Call, label: str, rules: Sequence[Rule]) -> bool:
    if node.function in ("label_replace", "label_join") and node.args[1] == Text(label):
        return True
    if node.function.startswith("absent"):
        arg = node.args[0]
        selector = arg.selector if isinstance(arg, Range) else arg
        return isinstance(selector, Selector) and any(one.label == label != NAME and one.op == "=" for one in selector.matchers)
    vectors = [arg for arg in node.args if not isinstance(arg, Number | Text)]
    return bool(vectors) and _keeps(vectors[-1], label, rules)


def _binary_keeps(node: Binary, label: str, rules: Sequence[Rule]) -> bool:
    left, right = _keeps(node.lhs, label, rules), _keeps(node.rhs, label, rules)
    if node.op == "or" or isinstance(node.lhs, Number):
        return left or right
    matching = node.matching
    if label in matching.include:
        return True
    if node.op in ("and", "unless") or isinstance(node.rhs, Number) or matching.side == "left":
        return left
    if matching.side == "right":
        return right
    return left and (label in matching.labels) == matching.on
