"""Paths into payloads: `name`, `address.city`, `"a key"`, `parts[].id`, `parts[0].id`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

Step = str | int | None
"""A key of an object, a place in an array, or every place of one (None)."""
Path = tuple[Step, ...]
Tree = Mapping[Step, "Tree | Literal[True]"]
"""Paths merged by their beginnings; True selects everything below."""

_KEY = re.compile(r'"([^"]+)"|((?:\w|-)+)')
_BRACKETS = re.compile(r"\[([0-9]*)\]")
_SHORT = 256
"""Paths below so many characters are parsed once and remembered."""
_MOST_DIGITS = 20  # of a place in an array: 64 bits


class PathError(ValueError):
    """No path; the text says so in Qdrant's words."""


def parse(text: str) -> Path:
    """The steps of a path. Raises PathError."""
    return _parsed(text) if len(text) < _SHORT else _parsed.__wrapped__(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Path:
    steps: list[Step] = []
    at = 0
    while True:
        key = _KEY.match(text, at)
        if key is None:
            raise PathError(f'Invalid json path: "{text}"')
        steps.append(key[1] if key[1] is not None else key[2])
        at = key.end()
        while bracket := _BRACKETS.match(text, at):
            if len(bracket[1]) > _MOST_DIGITS:
                raise PathError(f'Invalid json path: "{text}"')
            steps.append(int(bracket[1]) if bracket[1] else None)
            at = bracket.end()
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise PathError(f'Invalid json path: "{text}"')
        at += 1


def values(payload: Any, path: Path) -> Iterator[Any]:
    """Every value that a path leads to, arrays as they are."""
    if not path:
        yield payload
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if isinstance(payload, dict) and step in payload:
            yield from values(payload[step], rest)
    elif isinstance(payload, list):
        for item in payload if step is None else payload[step : step + 1]:
            yield from values(item, rest)


def items(payload: Any, path: Path) -> Iterator[Any]:
    """Every value that a path leads to; of an array, what is in it."""
    for value in values(payload, path):
        if isinstance(value, list):
            yield from value
        else:
            yield value


def merged(payload: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both; a null in `more` takes its key away."""
    return {key: value for key, value in {**payload, **more}.items() if not (key in more and value is None)}


def with_value(payload: Any, path: Path, value: Mapping[str, Any]) -> Any:
    """A copy in which the path leads to `value`, objects made on the way where there are none, but no arrays.

    Where the path leads to an object already, `value` (an object) is merged into it.
    """
    if not path:
        return merged(payload, value) if isinstance(payload, dict) else value
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        held = payload if isinstance(payload, dict) else {}
        return {**held, step: with_value(held.get(step), rest, value)}
    if not isinstance(payload, list):
        return []
    return [with_value(item, rest, value) if step in (None, place) else item for place, item in enumerate(payload)]


def without(payload: Any, path: Path) -> Any:
    """A copy in which the path leads nowhere; one that ends in a place of an array changes nothing, one that ends in `[]` empties it."""
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not isinstance(payload, dict) or step not in payload:
            return payload
        if not rest:
            return {key: value for key, value in payload.items() if key != step}
        return {**payload, step: without(payload[step], rest)}
    if not isinstance(payload, list):
        return payload
    if not rest:
        return [] if step is None else payload
    return [without(item, rest) if step in (None, place) else item for place, item in enumerate(payload)]


def tree(paths: Sequence[Path]) -> Tree:
    """Paths as a tree, for `including` and `excluding`."""
    root: dict[Step, Any] = {}
    for path in paths:
        node = root
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if below is True:
                break
            node = below
        else:
            node[path[-1]] = True
    return root


def including(payload: Any, chosen: Tree) -> Any:
    """Only the parts that were chosen; of an array, only what `[]` chooses."""
    if isinstance(payload, dict):
        return {key: _below(value, chosen[key], including) for key, value in payload.items() if key in chosen}
    if isinstance(payload, list):
        return [_below(item, chosen[None], including) for item in payload] if None in chosen else []
    return payload


def _below(value: Any, chosen: "Tree | Literal[True]", inside: Any) -> Any:
    return value if chosen is True else inside(value, chosen)


def excluding(payload: Any, chosen: Tree) -> Any:
    """All but the parts that were chosen."""
    if isinstance(payload, dict):
        kept = ((key, value, chosen.get(key)) for key, value in payload.items())
        return {key: value if below is None else excluding(value, below) for key, value, below in kept if below is not True}
    if isinstance(payload, list) and None in chosen:
        below = chosen[None]
        return [] if below is True else [excluding(item, below) for item in payload]
    return payload
