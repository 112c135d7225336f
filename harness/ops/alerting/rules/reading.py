"""Reads Prometheus rule files: everything wrong with one is told at once, with line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from harness.ops.alerting.promql.parse import PromqlError, parse
from harness.ops.alerting.promql.syntax import Node, Number, Text
from harness.ops.alerting.rules.model import AlertRule, Group, Place, RecordingRule, Rule
from harness.ops.alerting.rules.template import Template, TemplateError

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_S = (31_536_000.0, 604_800.0, 86_400.0, 3600.0, 60.0, 1.0, 0.001)
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ALERT = ("alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_RECORD = ("record", "expr", "labels")


class RulesError(ValueError):
    """A rule file that cannot be used. `problems` are its errors, in the order of the file."""

    def __init__(self, problems: list[tuple[Place, str]]) -> None:
        super().__init__("\n".join(f"{place}: {text}" for place, text in problems))
        self.problems = problems


def read(path: Path) -> tuple[Group, ...]:
    """The groups of a file. Raises RulesError, and ImportError without promql-parser (the extra `run`)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError([(Place(str(path), 1, 1), f"cannot be read: {error}")]) from error
    return read_text(text, str(path))


def read_text(text: str, file: str) -> tuple[Group, ...]:
    """As `read`; `file` is for the messages."""
    reader = _Reader(file, text)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Place(file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
        raise RulesError([(place, f"no YAML: {getattr(error, 'problem', None) or error}")]) from error
    groups = reader.groups(node)
    if reader.problems:
        raise RulesError(sorted(reader.problems, key=lambda p: (p[0].line, p[0].column)))
    return groups


def duration_s(text: str) -> float | None:
    """Seconds of `1h30m`, as Prometheus writes durations; None for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return 0.0 if text == "0" else None
    return sum(int(n) * unit for n, unit in zip(match.groups(), _UNITS_S, strict=True) if n)


@dataclass(slots=True)
class _Reader:
    file: str
    text: str
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def groups(self, node: yaml.Node | None) -> tuple[Group, ...]:
        if node is None:
            self._wrong(None, "holds no rules; write `groups: [{name: …, rules: […]}]`")
            return ()
        keys = self._mapping(node, ("groups",))
        if "groups" not in keys:
            self._wrong(node, "has no `groups:`")
            return ()
        nodes = self._sequence(keys["groups"])
        found = [self._group(one) for one in nodes]
        names = [one.name for one in found]
        for group, one in zip(found, nodes, strict=True):
            if names.count(group.name) > 1:
                self._wrong(one, f"two groups are called {group.name!r}")
                break
        return tuple(found)

    def _group(self, node: yaml.Node) -> Group:
        keys = self._mapping(node, ("name", "interval", "rules", "limit"))
        if "limit" in keys:
            self._wrong(keys["limit"], "`limit` is not kept here; leave it out")
        name = self._string(keys.get("name"), node, "a group needs a `name`")
        interval = self._duration(keys["interval"]) if "interval" in keys else None
        rules = self._sequence(keys["rules"]) if "rules" in keys else []
        return Group(name, tuple(rule for one in rules if (rule := self._rule(one)) is not None), interval or None)

    def _rule(self, node: yaml.Node) -> Rule | None:
        keys = self._mapping(node, tuple(dict.fromkeys((*_ALERT, *_RECORD))))
        if ("alert" in keys) == ("record" in keys):
            self._wrong(node, "a rule has either `alert` or `record`")
            return None
        allowed = _ALERT if "alert" in keys else _RECORD
        for name in keys.keys() - set(allowed):
            self._wrong(keys[name], f"a rule that records has no `{name}`")
        text = self._string(keys.get("expr"), node, "a rule needs an `expr`")
        before, place = len(self.problems), self._place(node)
        labels = self._templates(keys.get("labels"), _LABEL)
        annotations = self._templates(keys.get("annotations"), _LABEL)
        for_s, kept_s = (self._duration(keys[name]) if name in keys else 0.0 for name in ("for", "keep_firing_for"))
        expr = self._expression(text, keys["expr"]) if text else Number(0.0)
        record = self._string(keys["record"], node, "") if "record" in keys else ""
        if record and not _METRIC.fullmatch(record):
            self._wrong(keys["record"], f"{record!r} is no name of a metric")
        if not text or len(self.problems) > before:
            return None
        if record:
            return RecordingRule(record, text, expr, {k: v.text for k, v in labels.items()}, place)
        return AlertRule(self._string(keys["alert"], node, "an alert needs a name"), text, expr, place, for_s, kept_s, labels, annotations)

    def _expression(self, text: str, node: yaml.Node) -> Node:
        try:
            expr = parse(text)
        except PromqlError as error:
            self.problems.append((self._token(node, error.token), str(error)))
            return Number(0.0)
        if isinstance(expr, Text):
            self._wrong(node, "a text is no expression of a rule")
        return expr

    def _templates(self, node: yaml.Node | None, names: re.Pattern[str]) -> Mapping[str, Template]:
        found: dict[str, Template] = {}
        for name, value in (self._mapping(node, None) if node is not None else {}).items():
            if not names.fullmatch(name) or name == "__name__":
                self._wrong(value, f"{name!r} is no name of a label")
            try:
                found[name] = Template.of(self._string(value, value, ""))
            except TemplateError as error:
                self._wrong(value, str(error))
        return found

    def _mapping(self, node: yaml.Node, allowed: tuple[str, ...] | None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, "must be a mapping" + (f" with {', '.join(allowed)}" if allowed else ""))
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if allowed is not None and name not in allowed:
                self._wrong(key, f"there is no key {name!r} here; write one of {', '.join(allowed)}")
            elif name in found:
                self._wrong(key, f"{name!r} stands here twice")
            else:
                found[name] = value
        return found

    def _sequence(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._wrong(node, "must be a list")
        return []

    def _string(self, node: yaml.Node | None, parent: yaml.Node, missing: str) -> str:
        if node is None:
            self._wrong(parent, missing)
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(node, "must be a text")
            return ""
        if missing and not node.value.strip():
            self._wrong(node, missing)
        return str(node.value)

    def _duration(self, node: yaml.Node) -> float:
        text = self._string(node, node, "")
        seconds = duration_s(text)
        if seconds is None:
            self._wrong(node, f"{text!r} is no duration; write 30s, 5m or 1h30m")
        return seconds or 0.0

    def _wrong(self, node: yaml.Node | None, why: str) -> None:
        self.problems.append((self._place(node), why))

    def _place(self, node: yaml.Node | None) -> Place:
        mark = node.start_mark if node is not None else None
        return Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file, 1, 1)

    def _token(self, node: yaml.Node, token: str) -> Place:
        """Where in the text of a scalar the token stands; the start of the scalar where it is not found."""
        start, end = node.start_mark.index, node.end_mark.index
        at = self.text.find(token, start, end) if token else -1
        if at < 0:
            return self._place(node)
        return Place(self.file, self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at))
