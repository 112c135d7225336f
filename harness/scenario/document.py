"""YAML text to plain data with a position for everything in it.

Scalars follow the YAML 1.2 core schema: `on`, `no` and `1:30` are text, `1e3` is a number. Refused with a position: duplicate and
non-text keys, merge keys, tags beyond the core ones, more than one document, cycles, and anything that expands beyond the limits below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from harness.scenario.problem import START, KeyPath, Position, Positions, Problem, ScenarioError

MAX_DEPTH = 40
MAX_NODES = 20_000  # aliases counted each time they are used: a "billion laughs" file stops here
_TAG = "tag:yaml.org,2002:"
_Read = TypeVar("_Read")

# PyYAML's words -> what the author should do. First match wins.
_HINTS = (
    (r"found character '\\t'", "indent with spaces, not tabs"),
    (r"found character '[%@`>|]'", "quote values that begin with one of > | % @ `"),
    (r"chomping or indentation indicators", 'quote limits: ">= 99%"'),
    (r"mapping values are not allowed", "check the indentation, and quote values that contain ': '"),
    (r"could not find expected ':'", "write `key: value`"),
    (r"expected ',' or '[}\]]'", "close the bracket, or add the comma"),
    (r"expected the node content", "write the value, and close the bracket"),
    (r"unexpected end of stream", "close the quote"),
    (r"but found another document", "keep one document (one `---` at most)"),
    (r"undefined alias", "define it first with &name"),
    (r"alphabetic or numeric character", "quote values that begin with * or &"),
    (r"duplicate anchor", "give each anchor its own name"),
    (r"expected <block end>", "align the keys of one mapping in one column"),
    (r"escape", "double the backslash, or use single quotes"),
)


class _CoreResolver(BaseResolver):
    """Implicit types of the YAML 1.2 core schema."""


for _name, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _CoreResolver.add_implicit_resolver(_TAG + _name, re.compile(_pattern), list(_first))


class _Loader(Reader, Scanner, Parser, Composer, _CoreResolver):
    """Composes nodes, no deeper than MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _CoreResolver.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _text(text: str) -> str:
    text.encode()  # raises for a lone surrogate, written as an escape: it could be neither printed nor recorded
    return text


def _int(text: str) -> int:
    return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)


def _float(text: str) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))


_KINDS = {"str": "text", "int": "whole number", "float": "number", "bool": "boolean", "null": "null"}
_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "str": _text,
    "int": _int,
    "float": _float,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "null": lambda _: None,
}


def scalar(node: ScalarNode) -> Any:
    """Its value by the core schema. Raises KeyError for another tag, and ValueError for a text that is no such value."""
    return _SCALARS[node.tag.removeprefix(_TAG)](node.value)


class _Builder:
    """Turns nodes into plain data and notes where each part stands."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values: dict[KeyPath, Position] = {}
        self.keys: dict[KeyPath, Position] = {}
        self._open: set[int] = set()

    def build(self, node: Node, at: KeyPath) -> Any:
        self.values[at] = position(node)
        if len(self.values) > MAX_NODES:
            self.refuse(node, f"aliases expand to more than {MAX_NODES} values", "repeat less")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self.refuse(node, "an alias contains itself", "write the value out")
        self._open.add(id(node))
        data = self._mapping(node, at) if isinstance(node, MappingNode) else self._sequence(node, at)
        self._open.discard(id(node))
        return data

    def _sequence(self, node: Node, at: KeyPath) -> list[Any]:
        self._core_tag(node, "seq")
        return [self.build(child, (*at, n)) for n, child in enumerate(node.value)]

    def _mapping(self, node: MappingNode, at: KeyPath) -> dict[str, Any]:
        self._core_tag(node, "map")
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in data:
                first = self.keys[(*at, key)]
                self.refuse(key_node, f"key {key!r} is given twice, first in line {first.line}", "keep one of them")
            self.keys[(*at, key)] = position(key_node)
            data[key] = self.build(value_node, (*at, key))
        return data

    def _key(self, node: Node) -> str:
        key = self._scalar(node) if isinstance(node, ScalarNode) else None
        if not isinstance(key, str):
            shown = repr(node.value)[:40] if isinstance(node, ScalarNode) else "a list or mapping"
            self.refuse(node, f"a key must be text, not {shown}", "quote it, if it is meant")
        if key == "<<":
            self.refuse(node, "merge keys (<<) are not supported", "repeat the keys, or use an alias for the whole value")
        return key

    def _scalar(self, node: ScalarNode) -> Any:
        tag = node.tag.removeprefix(_TAG)
        if tag not in _SCALARS:
            self.refuse(node, f"tag {node.tag!r} is not supported", "drop it")
        try:
            return scalar(node)
        except (ValueError, KeyError):
            self.refuse(node, f"{node.value[:40]!r} is no valid {_KINDS[tag]}", "write it in quotes, without escapes")

    def _core_tag(self, node: Node, wanted: str) -> None:
        if node.tag != _TAG + wanted:
            self.refuse(node, f"tag {node.tag!r} is not supported", "drop it")

    def refuse(self, node: Node, message: str, hint: str) -> NoReturn:
        at = position(node)
        raise ScenarioError([Problem(self.path, at.line, at.column, message, hint)])


@dataclass(frozen=True, slots=True)
class Kind:
    """What a document is called in problems, how one is come by, and how one begins."""

    name: str
    origin: str
    beginning: str


SCENARIO = Kind("a scenario", "write a scenario; `gauntlet init` prints one to start from", "begin with `name: my-scenario`")


def parse(text: str, path: str, kind: Kind = SCENARIO) -> tuple[dict[str, Any], Positions]:
    """The document's data and positions. Raises ScenarioError with one problem."""
    root = _compose(text, path)
    if root is None:
        raise ScenarioError([Problem(path, 1, 1, "the file is empty", kind.origin)])
    builder = _Builder(path)
    data = builder.build(root, ())
    if not isinstance(data, dict):
        builder.refuse(root, f"{kind.name} is a mapping of keys to values", kind.beginning)
    return data, Positions(builder.values, builder.keys)


def compose_all(text: str, path: str) -> list[Node]:
    """The nodes of every document of a file, for readers with rules of their own. Raises ScenarioError with one problem."""
    return _guarded(text, path, _documents)


def _compose(text: str, path: str) -> Node | None:
    return _guarded(text, path, _Loader.get_single_node)


def _documents(loader: _Loader) -> list[Node]:
    found = []
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            found.append(node)
    return found


def _guarded(text: str, path: str, read: Callable[[_Loader], _Read]) -> _Read:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return read(loader)
    except ReaderError as error:
        at = place(text, error.position)
        message = f"control character U+{ord(str(error.character)) if isinstance(error.character, str) else error.character:04X}"
        problem = Problem(path, at.line, at.column, message + " is not allowed in YAML", "delete it")
    except yaml.MarkedYAMLError as error:
        problem = _yaml_problem(error, path)
    except (ValueError, OverflowError) as error:  # PyYAML lets chr() and int() of the text's own numbers raise
        mark = loader.get_mark() if loader else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(path, line, column, f"invalid YAML: {error}", "use single quotes, where no escapes are read")
    raise ScenarioError([problem])


def _yaml_problem(error: yaml.MarkedYAMLError, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    at = Position(mark.line + 1, mark.column + 1) if mark else START
    message = str(error.problem or error.context)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, message)), "")
    context = f" ({error.context})" if error.context and error.problem else ""
    return Problem(path, at.line, at.column, f"invalid YAML: {message}{context}", hint)


def place(text: str, offset: int) -> Position:
    """Line and column of a character offset."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def position(node: Node) -> Position:
    """Where a node begins."""
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
