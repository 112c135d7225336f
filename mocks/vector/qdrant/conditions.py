"""Conditions on one field of a payload: match, range, count, emptiness, place."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from operator import ge, gt, le, lt
from typing import Any

from mocks.vector.collection import Payload
from mocks.vector.qdrant.decode import FormatError, RangeError, a_list, an_object, field, flag, number, path, text, whole
from mocks.vector.qdrant.paths import Path, items, values
from mocks.vector.qdrant.values import Place, distance_m, in_ring, moment, place

ValueTest = Callable[[Any], bool]

_TOKEN = re.compile(r"[^\W_]+")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "gt": gt, "gte": ge, "lte": le}


def field_condition(document: dict[str, Any]) -> Callable[[Payload], bool]:
    """The test that a condition with a `key` stands for; of several in one, any may hold. Raises FormatError, RangeError."""
    key = path(document["key"])
    unknown = next((name for name in document if name != "key" and name not in _ON_VALUES and name not in _ON_FIELDS), None)
    if unknown is not None:
        raise FormatError("data did not match any variant of untagged enum Condition")
    on_values = [read(document[name]) for name, read in _ON_VALUES.items() if document.get(name) is not None]
    on_field = [read(document[name]) for name, read in _ON_FIELDS.items() if document.get(name) is not None]
    if not on_values and not on_field:
        raise FormatError("At least one field condition must be specified")

    def passes(payload: Payload) -> bool:
        return any(test(payload, key) for test in on_field) or any(test(value) for value in items(payload, key) for test in on_values)

    return passes if on_values else lambda payload: any(test(payload, key) for test in on_field)


def is_empty(payload: Payload, key: Path) -> bool:
    """Whether there is nothing at a path but nulls and empty arrays."""
    return all(value is None or value == [] for value in values(payload, key))


def is_null(payload: Payload, key: Path) -> bool:
    """Whether there is a null at a path, or an array that holds one."""
    return any(value is None or (isinstance(value, list) and None in value) for value in values(payload, key))


def _match(document: Any) -> ValueTest:
    given = an_object(document, "struct Match")
    kind = next((name for name in given if name in _MATCHES), None)
    if kind is None or len(given) != 1:
        raise FormatError("data did not match any variant of untagged enum Match")
    return _MATCHES[kind](given[kind])


def _match_value(wanted: Any) -> ValueTest:
    if not isinstance(wanted, (str, int)):
        raise FormatError("data did not match any variant of untagged enum ValueVariants")
    return lambda value: type(value) is type(wanted) and bool(value == wanted)


def _match_any(wanted: Any) -> ValueTest:
    variants = _variants(wanted)
    return lambda value: _hashed(value) in variants


def _match_except(wanted: Any) -> ValueTest:
    variants = _variants(wanted)
    return lambda value: value is not None and _hashed(value) not in variants


def _variants(wanted: Any) -> frozenset[Any]:
    one_kind = isinstance(wanted, list) and (all(type(one) is str for one in wanted) or all(type(one) is int for one in wanted))
    if not one_kind:
        raise FormatError("data did not match any variant of untagged enum AnyVariants")
    return frozenset((type(one), one) for one in wanted)


def _hashed(value: Any) -> Any:
    return (type(value), value) if isinstance(value, (str, int, float)) else None


def _match_text(wanted: Any) -> ValueTest:
    tokens = set(_tokens(text(wanted)))
    return lambda value: bool(tokens) and isinstance(value, str) and tokens.issubset(_tokens(value))


def _match_text_any(wanted: Any) -> ValueTest:
    tokens = set(_tokens(text(wanted)))
    return lambda value: isinstance(value, str) and not tokens.isdisjoint(_tokens(value))


def _match_phrase(wanted: Any) -> ValueTest:
    phrase = _tokens(text(wanted))

    def holds(value: Any) -> bool:
        found = _tokens(value) if isinstance(value, str) else []
        return bool(phrase) and any(found[at : at + len(phrase)] == phrase for at in range(len(found)))

    return holds


def _match_prefix(wanted: Any) -> ValueTest:
    prefix = text(wanted)
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def _match_substring(wanted: Any) -> ValueTest:
    part = text(wanted)
    return lambda value: isinstance(value, str) and part in value


def _tokens(value: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(value)]


_MATCHES: dict[str, Callable[[Any], ValueTest]] = {
    "value": _match_value,
    "any": _match_any,
    "except": _match_except,
    "text": _match_text,
    "text_any": _match_text_any,
    "phrase": _match_phrase,
    "prefix": _match_prefix,
    "substring": _match_substring,
}


def _range(document: Any) -> ValueTest:
    bounds = _bounds(document, "RangeInterface")
    if any(isinstance(bound, str) for bound in bounds.values()):
        moments = {name: _bound_moment(bound) for name, bound in bounds.items()}
        return lambda value: (when := moment(value)) is not None and _within(when, moments)
    numbers = {name: number(bound) for name, bound in bounds.items()}
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and _within(value, numbers)


def _bounds(document: Any, what: str) -> dict[str, Any]:
    given = an_object(document, f"struct {what}")
    if not all(name in _COMPARE for name in given):
        raise FormatError(f"data did not match any variant of untagged enum {what}")
    return {name: bound for name, bound in given.items() if bound is not None}


def _within(value: Any, bounds: dict[str, Any]) -> bool:
    return all(_COMPARE[name](value, bound) for name, bound in bounds.items())


def _bound_moment(value: Any) -> datetime:
    when = moment(value)
    if when is None:
        raise FormatError("data did not match any variant of untagged enum RangeInterface")
    return when


def _place(document: Any) -> Place:
    given = an_object(document, "struct GeoPoint")
    lon, lat = number(field(given, "lon")), number(field(given, "lat"))
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise FormatError(f"Wrong format of GeoPoint payload: expected `lat` = {lat} within [-90;90] and `lon` = {lon} within [-180;180]")
    return Place(lon, lat)


def _geo_radius(document: Any) -> ValueTest:
    given = an_object(document, "struct GeoRadius")
    centre, radius_m = _place(field(given, "center")), number(field(given, "radius"))
    return lambda value: (spot := place(value)) is not None and distance_m(spot, centre) < radius_m


def _geo_box(document: Any) -> ValueTest:
    given = an_object(document, "struct GeoBoundingBox")
    corner, opposite = _place(field(given, "top_left")), _place(field(given, "bottom_right"))

    def holds(value: Any) -> bool:
        spot = place(value)
        if spot is None or not corner.lat > spot.lat > opposite.lat:
            return False
        if corner.lon > opposite.lon:  # across the 180th meridian
            return spot.lon > corner.lon or spot.lon < opposite.lon
        return corner.lon < spot.lon < opposite.lon

    return holds


def _geo_polygon(document: Any) -> ValueTest:
    given = an_object(document, "struct GeoPolygon")
    outer, holes = _ring(field(given, "exterior")), a_list(given.get("interiors") or [], _ring)

    def holds(value: Any) -> bool:
        spot = place(value)
        return spot is not None and in_ring(spot, outer, edge=False) and not any(in_ring(spot, hole, edge=True) for hole in holes)

    return holds


def _ring(document: Any) -> list[Place]:
    ring = a_list(field(an_object(document, "struct GeoLineString"), "points"), _place)
    if len(ring) < 4:
        raise RangeError(f"filter.geo_polygon: polygon invalid, the size must be at least 4, got {len(ring)}")
    if ring[0] != ring[-1]:
        raise RangeError("filter.geo_polygon: polygon invalid, the first and the last points should be the same to form a closed line")
    return ring[:-1]


_ON_VALUES: dict[str, Callable[[Any], ValueTest]] = {
    "match": _match,
    "range": _range,
    "geo_bounding_box": _geo_box,
    "geo_radius": _geo_radius,
    "geo_polygon": _geo_polygon,
}


def _values_count(document: Any) -> Callable[[Payload, Path], bool]:
    bounds = {name: whole(bound) for name, bound in _bounds(document, "ValuesCount").items()}
    return lambda payload, key: any(_within(count, bounds) for count in _counts(values(payload, key)))


def _counts(found: Iterable[Any]) -> list[int]:
    counts = [0 if value is None else len(value) if isinstance(value, list) else 1 for value in found]
    return counts or [0]


def _empty(document: Any) -> Callable[[Payload, Path], bool]:
    wanted = flag(document)
    return lambda payload, key: is_empty(payload, key) is wanted


def _null(document: Any) -> Callable[[Payload, Path], bool]:
    wanted = flag(document)
    return lambda payload, key: is_null(payload, key) is wanted


_ON_FIELDS: dict[str, Callable[[Any], Callable[[Payload, Path], bool]]] = {
    "values_count": _values_count,
    "is_empty": _empty,
    "is_null": _null,
}
