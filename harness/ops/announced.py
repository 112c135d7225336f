"""Parts that other distributions announce under entry points: channels and strategies by name, as a file asks for them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any


class AnnouncedError(ValueError):
    """No installed distribution announces it, or its code cannot be loaded; the message says which and why."""


def names(group: str) -> tuple[str, ...]:
    """What is announced there, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load(group: str, name: str, what: str) -> Any:
    """What the entry point of that name stands for; `what` is what a message calls it. Raises AnnouncedError."""
    for point in entry_points(group=group, name=name):
        return _loaded(point, what)
    raise AnnouncedError(f"there is no {what} {name!r}; installed distributions announce {', '.join(names(group)) or 'none'}")


def _loaded(point: EntryPoint, what: str) -> Any:
    try:
        return point.load()
    except Exception as error:  # the code is somebody else's: whatever it raises is told as its own
        raise AnnouncedError(f"the {what} {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}") from error
