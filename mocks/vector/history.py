"""What points were before: for faults that show a collection as it was."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

_KEPT = 4_096


class Past(NamedTuple):
    """What a point held once."""

    payload: dict[str, Any]
    document: str | None
    version: int
    """The number of the change that made it so, within its collection."""

    def replaced_by(self, payload: Mapping[str, Any], document: str | None) -> bool:
        """Whether this is something else; to write the same again replaces nothing."""
        return payload != self.payload or document != self.document


class Deleted:
    """The points of a collection that were deleted last."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Past] = OrderedDict()

    def keep(self, id: Hashable, past: Past) -> None:
        """Remember one, and forget the one that was deleted first where they are too many."""
        self._kept[id] = past
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def take(self, id: Hashable) -> Past | None:
        """The one of that id, which is there again."""
        return self._kept.pop(id, None)

    def older_version(self, held: Past, keys: Sequence[str]) -> Past | None:
        """What was replaced by `held`, where replacing is deleting and putting under another id.

        It has the same value under the first of `keys` that is in the payload; of several, it is the one that has most else in common, or
        was put last.
        """
        key = next((key for key in keys if key in held.payload), None)
        if key is None:
            return None
        older = (one for one in self._kept.values() if one.version < held.version and key in one.payload)
        same = (one for one in older if one.payload[key] == held.payload[key])
        return max(same, key=lambda one: (_shared(one.payload, held.payload), one.version), default=None)


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(key in other and other[key] == value for key, value in one.items())
