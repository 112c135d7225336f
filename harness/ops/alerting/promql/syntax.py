"""The syntax tree of an expression. Durations are milliseconds as written: an evaluation divides them by its time scale."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

NAME = "__name__"


@lru_cache(maxsize=1000)
def pattern(text: str) -> re.Pattern[str]:
    """A regular expression. Raises re.error where Python's syntax lacks what RE2's has."""
    return re.compile(text)


def _matches(text: str, value: str) -> bool:
    return pattern(text).fullmatch(value) is not None


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda wanted, value: value == wanted,
    "!=": lambda wanted, value: value != wanted,
    "=~": _matches,
    "!~": lambda wanted, value: not _matches(wanted, value),
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label op "value"`; a label that is absent is empty."""

    label: str
    op: str  # = != =~ !~
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        return _TESTS[self.op](self.value, labels.get(self.label, ""))


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{matchers} offset d`. `name` is empty where only matchers say which."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    offset_ms: int = 0

    def matches(self, labels: Mapping[str, str]) -> bool:
        """For a series of that name."""
        return all(one.matches(labels) for one in self.matchers)


@dataclass(frozen=True, slots=True)
class Range:
    """`selector[d]`."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`op by (labels) (expr)`, or `without`."""

    op: str
    expr: Node
    labels: tuple[str, ...]
    without: bool
    param: Node | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """How the elements of two vectors find each other. `side` is the many-side of a grouping: left, right, or empty for one to one."""

    labels: tuple[str, ...] = ()
    on: bool = False
    side: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    lhs: Node
    rhs: Node
    matching: Matching = Matching()
    as_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negate:
    expr: Node


Node = Number | Text | Selector | Range | Call | Aggregate | Binary | Negate


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    match node:
        case Range():
            yield from walk(node.selector)
        case Call():
            for arg in node.args:
                yield from walk(arg)
        case Aggregate():
            yield from walk(node.expr)
            if node.param is not None:
                yield from walk(node.param)
        case Binary():
            yield from walk(node.lhs)
            yield from walk(node.rhs)
        case Negate():
            yield from walk(node.expr)
        case _:
            pass


def reaches_ms(node: Node, lookback_ms: int) -> Iterator[tuple[Selector, int]]:
    """Each selector of the expression, and how far back it looks: its range, or the lookback where it wants the newest point."""
    ranges = [one for one in walk(node) if isinstance(one, Range)]
    ranged = {id(one.selector) for one in ranges}
    for one in ranges:
        yield one.selector, one.range_ms + max(0, one.selector.offset_ms)
    for other in walk(node):
        if isinstance(other, Selector) and id(other) not in ranged:
            yield other, lookback_ms + max(0, other.offset_ms)
