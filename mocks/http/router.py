"""Which handler answers which method and path. What is said where there is none is the product's own affair."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

Target = Callable[..., None]
"""`target(request, reply, *parts)`, with the parts of the path that the pattern left open, percent-decoded."""


@dataclass(frozen=True, slots=True)
class Match:
    """The handler for a request, and what stood in the open segments of its pattern."""

    target: Target
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotFound:
    """No pattern fits the path."""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """A pattern fits the path, but none for this method; `allowed` are the methods there are, sorted, as in an `allow` header."""

    allowed: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """What may follow after some segments."""

    fixed: "dict[str, _Node]" = field(default_factory=dict)
    open: "_Node | None" = None
    targets: dict[str, Target] = field(default_factory=dict)


class Router:
    """Patterns such as `/collections/{name}/points`: a segment is fixed, or open in its whole length (and then not empty).

    A fixed segment goes before an open one. Slashes count: `/a` and `/a/` are two paths. HEAD is answered where GET is.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._fixed: dict[str, _Node] = {}

    def add(self, method: str, pattern: str, target: Target) -> None:
        """Answer `method` on `pattern`. Raises ValueError for a pattern that is none, and where there is an answer already."""
        if not pattern.startswith("/"):
            raise ValueError(f"{pattern!r} does not begin with a slash")
        node = self._root
        for segment in pattern[1:].split("/"):
            node = self._follow(node, segment)
        if method in node.targets:
            raise ValueError(f"two answers to {method} {pattern}")
        node.targets[method] = target
        if "{" not in pattern:
            self._fixed[pattern] = node

    def find(self, method: str, raw_path: str) -> Match | NotFound | NotAllowed:
        """Who answers `method` on a path that is still percent-encoded (`Request.raw_path`), so that `%2F` is no slash."""
        node = self._fixed.get(raw_path)
        if node is not None and method in node.targets:
            return Match(node.targets[method])
        if not raw_path.startswith("/"):
            return NotFound()
        segments = [unquote(segment) if "%" in segment else segment for segment in raw_path[1:].split("/")]
        allowed: set[str] = set()
        for node, parts in _walk(self._root, segments, 0, ()):
            target = node.targets.get(method) or (node.targets.get("GET") if method == "HEAD" else None)
            if target is not None:
                return Match(target, parts)
            allowed.update(node.targets)
        if "GET" in allowed:
            allowed.add("HEAD")
        return NotAllowed(tuple(sorted(allowed))) if allowed else NotFound()

    @staticmethod
    def _follow(node: _Node, segment: str) -> _Node:
        if segment.startswith("{") and segment.endswith("}"):
            if node.open is None:
                node.open = _Node()
            return node.open
        if "{" in segment or "}" in segment:
            raise ValueError(f"a segment is fixed or open as a whole, unlike {segment!r}")
        return node.fixed.setdefault(segment, _Node())


def _walk(node: _Node, segments: list[str], at: int, parts: tuple[str, ...]) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Every pattern's node that fits the segments from number `at` on, fixed ones first."""
    if at == len(segments):
        yield node, parts
        return
    segment = segments[at]
    if segment in node.fixed:
        yield from _walk(node.fixed[segment], segments, at + 1, parts)
    if node.open is not None and segment:
        yield from _walk(node.open, segments, at + 1, (*parts, segment))
