"""Deployment files to values that know where they stand.

Files are written for other programs, so more is read than of a scenario: several documents, merge keys (`<<`), tags (`!reset`, `!override`,
which compose knows, and others) as if they were not there. A value that an alias repeats is one object, so that no file expands beyond what
it holds. Refused with file, line and column: what is no YAML, duplicate keys, cycles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from yaml.nodes import MappingNode, Node, ScalarNode

from harness.scenario.document import compose_all, position, scalar
from harness.scenario.problem import START, Position, Problem, ScenarioError

MAX_BYTES = 4 << 20
_ALLOW = re.compile(r"(?:^|(?<=\s))#\s*gauntlet:\s*allow\b[ \t]*(?P<rule>[\w.*-]*)[ \t]*(?:because\b[ \t]*(?P<why>.*\S))?")


@dataclass(frozen=True, slots=True)
class Part:
    """A value: a mapping or a list of Parts, or a scalar. `keys` says where each key of a mapping stands."""

    data: Mapping[str, Part] | tuple[Part, ...] | str | int | float | bool | None
    at: Position
    keys: Mapping[str, Position] = field(default_factory=dict)

    def get(self, *path: str) -> Part | None:
        """What lies there; None where there is nothing, or null."""
        found: Part | None = self
        for key in path:
            found = found.data.get(key) if found is not None and isinstance(found.data, Mapping) else None
        return found if found is not None and found.data is not None else None

    def has(self, *path: str) -> bool:
        """Is anything but null there?"""
        return self.get(*path) is not None

    def key_at(self, key: str) -> Position:
        """Where the key stands; the whole where there is none."""
        return self.keys.get(key, self.at)

    def items(self, *path: str) -> Iterator[tuple[str, Part, Position]]:
        """(key, value, place of the key) of the mapping there; nothing of anything else."""
        found = self.get(*path)
        if found is not None and isinstance(found.data, Mapping):
            yield from ((key, value, found.key_at(key)) for key, value in found.data.items())

    def each(self, *path: str) -> tuple[Part, ...]:
        """The entries of the list there; nothing of anything else."""
        found = self.get(*path)
        return found.data if found is not None and isinstance(found.data, tuple) else ()

    def text(self, *path: str) -> str:
        """The scalar there, as it would be written; empty for anything else."""
        found = self.get(*path)
        if found is None or isinstance(found.data, Mapping | tuple):
            return ""
        return str(found.data).lower() if isinstance(found.data, bool) else str(found.data)

    def words(self, *path: str) -> list[str]:
        """The list there as texts; a scalar is a list of one."""
        found = self.get(*path)
        if found is None or isinstance(found.data, Mapping):
            return []
        return [one.text() for one in found.data] if isinstance(found.data, tuple) else [found.text()]


@dataclass(frozen=True, slots=True)
class Allowance:
    """A comment `# gauntlet: allow RULE because …`. Alone in its line, it stands for the next one with content."""

    rule: str
    reason: str
    at: Position
    line: int  # for which it stands


@dataclass(frozen=True, slots=True)
class Source:
    """A file with its documents. `name` is how findings call it."""

    name: str
    path: Path
    documents: tuple[Part, ...]
    allowances: tuple[Allowance, ...]


def read(path: Path, name: str) -> Source:
    """Read one file (UTF-8, at most 4 MiB). Raises ScenarioError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(name, f"cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:
        raise _refused(name, f"larger than {MAX_BYTES >> 20} MiB", "give the file of a deployment")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(name, f"byte {error.start} is not UTF-8", "save the file as UTF-8") from error
    return read_text(text, name, path)


def read_text(text: str, name: str, path: Path = Path()) -> Source:
    """The same from text. Raises ScenarioError."""
    roots = compose_all(text, name)
    builder = _Builder(name)
    return Source(name, path, tuple(builder.part(root) for root in roots), tuple(_allowances(text, builder.scalars)))


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.scalars: list[tuple[int, int]] = []  # where texts begin and end, in characters: what looks like a comment there is none
        self._done: dict[int, Part] = {}
        self._open: set[int] = set()

    def part(self, node: Node) -> Part:
        """Of an alias, the part that its anchor made."""
        done = self._done.get(id(node))
        if done is not None:
            return done
        if id(node) in self._open:
            self._refuse(node, "an alias contains itself", "write the value out")
        self._open.add(id(node))
        found = self._of(node)
        self._open.discard(id(node))
        self._done[id(node)] = found
        return found

    def _of(self, node: Node) -> Part:
        at = position(node)
        if isinstance(node, ScalarNode):
            self.scalars.append((node.start_mark.index, node.end_mark.index))
            return Part(_scalar(node), at)
        if isinstance(node, MappingNode):
            return self._mapping(node, at)
        return Part(tuple(self.part(child) for child in node.value), at)

    def _mapping(self, node: MappingNode, at: Position) -> Part:
        data: dict[str, Part] = {}
        keys: dict[str, Position] = {}
        merged: list[Part] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._refuse(key_node, "a key must be text, not a list or mapping", "write `key: value`")
            key = key_node.value
            if key in data:
                self._refuse(key_node, f"key {key!r} is given twice, first in line {keys[key].line}", "keep one of them")
            value = self.part(value_node)
            if key == "<<":
                merged += value.data if isinstance(value.data, tuple) else (value,)
            else:
                data[key], keys[key] = value, position(key_node)
        for one in merged:  # what is written here wins, then the first that is merged
            if not isinstance(one.data, Mapping):
                self._refuse(node, "only mappings can be merged (<<)", "merge an anchor of a mapping")
            for key, value in one.data.items():
                if key not in data:
                    data[key], keys[key] = value, one.key_at(key)
        return Part(data, at, keys)

    def _refuse(self, node: Node, message: str, hint: str) -> NoReturn:
        at = position(node)
        raise ScenarioError([Problem(self.name, at.line, at.column, message, hint)])


def _scalar(node: ScalarNode) -> Any:
    try:
        return scalar(node)
    except (KeyError, ValueError):  # a tag or a form of another program's
        return node.value


def _allowances(text: str, scalars: list[tuple[int, int]]) -> Iterator[Allowance]:
    lines = text.splitlines(keepends=True)
    offset = 0
    for number, line in enumerate(lines, 1):
        found = _ALLOW.search(line)
        if found and not any(start <= offset + found.start() < end for start, end in scalars):
            alone = not line[: found.start()].strip()
            reason = (found["why"] or "").strip()
            yield Allowance(found["rule"], reason, Position(number, found.start() + 1), _next(lines, number) if alone else number)
        offset += len(line)


def _next(lines: list[str], number: int) -> int:
    """The first line after `number` that holds more than a comment; `number` itself where none does."""
    later = ((n, line.strip()) for n, line in enumerate(lines[number:], number + 1))
    return next((n for n, line in later if line and not line.startswith("#")), number)


def _refused(name: str, message: str, hint: str = "") -> ScenarioError:
    return ScenarioError([Problem(name, START.line, START.column, message, hint)])
