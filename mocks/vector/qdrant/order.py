"""Points in the order of a payload's value."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mocks.vector.collection import Collection, Point
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import FormatError, an_object, field, path, text
from mocks.vector.qdrant.paths import Path, items
from mocks.vector.qdrant.values import microseconds, moment
from mocks.vector.serde import spelled

_ORDERED_TYPES = ("integer", "float", "datetime")

Value = int | float
"""What is ordered: a number, or microseconds since 1970 where the field is indexed as datetime."""


@dataclass(frozen=True, slots=True)
class Order:
    """By the values at `key`, from `start` on where that is given."""

    key: Path
    data_type: str
    descending: bool
    start: Value | None

    def sort(self, points: Iterable[Point]) -> list[tuple[Point, Value]]:
        """Points with their values, in order; one comes as often as it has values, and not at all without."""
        pairs = [(point, value) for point in points for value in self._values(point)]
        if self.start is not None:
            start = self.start
            pairs = [pair for pair in pairs if (pair[1] <= start if self.descending else pair[1] >= start)]
        pairs.sort(key=lambda pair: pair[1], reverse=self.descending)
        return pairs

    def _values(self, point: Point) -> list[Value]:
        found = (order_value(value, self.data_type) for value in items(point.payload, self.key))
        return [value for value in found if value is not None]


def order_value(value: Any, data_type: str) -> Value | None:
    """What a payload's value counts in an order by that type; None where it has no place in it."""
    if data_type == "datetime":
        when = moment(value)
        return None if when is None else microseconds(when)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if data_type == "float" or isinstance(value, int) else None


def order_by(collection: Collection, document: Any) -> Order:
    """The order that a request asks for: a field, or an object with `key`. Raises VectorError, FormatError."""
    given = {"key": document} if isinstance(document, str) else an_object(document, "struct OrderBy")
    key = text(field(given, "key"))
    steps = path(key)
    direction = given.get("direction") or "asc"
    if direction not in ("asc", "desc"):
        raise FormatError(f"unknown variant `{direction}`, expected `asc` or `desc`")
    entry = collection.config["payload_schema"].get(key)
    data_type = None if entry is None else entry["data_type"]
    if data_type not in _ORDERED_TYPES:
        raise errors.wrong_input(
            f"No range index for `order_by` key: `{key}`. Please create one to use `order_by`. Check https://qdrant.tech/documentation/"
            "concepts/indexing/#payload-index to see which payload schemas support Range conditions"
        )
    return Order(steps, data_type, direction == "desc", _start(given.get("start_from")))


def _start(document: Any) -> Value | None:
    if document is None:
        return None
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        return document
    when = moment(document)
    if when is None:
        raise FormatError(f"data did not match any variant of untagged enum StartFrom: {spelled(document)}")
    return microseconds(when)
