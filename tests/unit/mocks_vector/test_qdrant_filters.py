"""Filters and payload paths against qdrant-client's own, which run without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from qdrant_client import models
from qdrant_client.local import datetime_utils
from qdrant_client.local.order_by import datetime_to_microseconds
from qdrant_client.local.payload_filters import check_filter
from qdrant_client.local.payload_value_extractor import exclude_payload, include_payload

from mocks.vector.collection import Point
from mocks.vector.qdrant.decode import FormatError, RangeError
from mocks.vector.qdrant.filters import compile_filter
from mocks.vector.qdrant.paths import PathError, excluding, including, merged, parse, tree, with_value, without
from mocks.vector.qdrant.values import microseconds, moment

UUIDS = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")
WORDS = st.sampled_from(["red", "Red wine", "blue", "wine_red", ""])
MOMENTS = st.sampled_from(["2024-01-01", "2024-01-01T10:00:00Z", "2024-01-01 12:00:00.5+02:00", "2023-12-31T23:59:59", "no time"])
PLACES = st.fixed_dictionaries({"lon": st.sampled_from([-179, -1, 0, 1.5, 179]), "lat": st.sampled_from([-60, 0, 0.5, 60])})
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1.0]) | WORDS | MOMENTS | PLACES
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2), max_leaves=6
)
PAYLOADS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
PATHS = st.sampled_from(["a", "b", "a.b", "a[]", "a[0]", "a[].b", "b[1].c", "a.b.c", '"a"', "c[][]", "missing"])


def bounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(["lt", "lte", "gt", "gte"]), values, min_size=1, max_size=2)


def keyed(**conditions: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of([st.fixed_dictionaries({"key": PATHS, name: values}) for name, values in conditions.items()])


MATCHES = st.one_of(
    st.fixed_dictionaries({"value": st.booleans() | st.integers(-2, 3) | WORDS}),
    *(st.fixed_dictionaries({kind: st.lists(st.integers(-2, 3), max_size=3) | st.lists(WORDS, max_size=3)}) for kind in ("any", "except")),
    *(st.fixed_dictionaries({kind: WORDS}) for kind in ("text", "text_any", "phrase", "prefix", "substring")),
)
RING = [{"lon": -10, "lat": -10}, {"lon": -10, "lat": 10}, {"lon": 10, "lat": 10}, {"lon": 10, "lat": -10}, {"lon": -10, "lat": -10}]
HOLE = [{"lon": 1, "lat": -1}, {"lon": 1, "lat": 1}, {"lon": 2, "lat": 1}, {"lon": 2, "lat": -1}, {"lon": 1, "lat": -1}]
FIELDS = keyed(
    match=MATCHES,
    range=bounds(st.integers(-2, 3) | st.sampled_from([0.5, 1.0])) | bounds(MOMENTS.filter(lambda text: text != "no time")),
    values_count=bounds(st.integers(0, 3)),
    is_empty=st.booleans(),
    is_null=st.booleans(),
    geo_radius=st.fixed_dictionaries({"center": PLACES, "radius": st.sampled_from([0.0, 60_000.0, 200_000.0, 1e7])}),
    geo_bounding_box=st.fixed_dictionaries({"top_left": PLACES, "bottom_right": PLACES}),
    geo_polygon=st.sampled_from([{"exterior": {"points": RING}}, {"exterior": {"points": RING}, "interiors": [{"points": HOLE}]}]),
)
ALL_CONDITIONS = st.one_of(
    FIELDS,
    *(st.fixed_dictionaries({kind: st.fixed_dictionaries({"key": PATHS})}) for kind in ("is_empty", "is_null")),
    st.fixed_dictionaries({"has_id": st.lists(st.sampled_from([1, 2, *UUIDS, UUIDS[0].upper()]), max_size=3)}),
    st.fixed_dictionaries({"has_vector": st.sampled_from(["", "image"])}),
    st.fixed_dictionaries(
        {"nested": st.fixed_dictionaries({"key": PATHS, "filter": st.fixed_dictionaries({"must": st.lists(FIELDS, max_size=2)})})}
    ),
)


CONDITIONS = st.deferred(lambda: ALL_CONDITIONS)  # hypothesis would spell it out otherwise, at length


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """A filter of conditions and, down to `depth`, of filters."""

    def inner() -> Any:
        nested = depth > 0 and draw(st.integers(0, 3)) == 0
        return draw(filters(depth - 1).filter(bool) if nested else CONDITIONS)

    def several() -> list[Any]:
        return [inner() for _ in range(draw(st.integers(0, 3)))]

    document: dict[str, Any] = {}
    for clause in draw(st.sets(st.sampled_from(["must", "must_not", "should"]))):
        document[clause] = several() if draw(st.booleans()) else inner()
    if draw(st.booleans()):
        document["min_should"] = {"conditions": several(), "min_count": draw(st.integers(1, 3))}
    return document


@settings(max_examples=300, deadline=None)
@given(filters(), st.lists(PAYLOADS, min_size=1, max_size=4), st.sampled_from([1, 2, *UUIDS]), st.sampled_from([(), ("",), ("image",)]))
@example({"must": [{"key": "a", "range": {"gt": "2024-01-01"}}]}, [{"a": "2024-01-01T10:00:00Z"}], 1, ())
def test_a_filter_passes_what_the_clients_own_passes(
    document: dict[str, Any], payloads: list[dict[str, Any]], id: int | str, names: tuple[str, ...]
) -> None:
    passes = compile_filter(document)
    reference = models.Filter(**document)
    has_vector = dict.fromkeys(names, True)
    for payload in payloads:
        point = Point(id, 0, payload, None, 1, frozenset(names))
        assert passes(point) is check_filter(reference, payload, id, has_vector), payload


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "invalid type: sequence, expected struct Filter"),
        ({"musst": []}, "unknown field `musst`, expected one of `should`, `min_should`, `must`, `must_not`"),
        ({"must": [{"nonsense": 1}]}, "data did not match any variant of untagged enum Condition"),
        ({"must": ["x"]}, "data did not match any variant of untagged enum Condition"),
        ({"must": [{"key": "a"}]}, "At least one field condition must be specified"),
        ({"must": [{"key": "a", "match": {"value": 1.5}}]}, "data did not match any variant of untagged enum ValueVariants"),
        ({"must": [{"key": "a", "match": {"any": [1, "x"]}}]}, "data did not match any variant of untagged enum AnyVariants"),
        ({"must": [{"key": "a", "match": {}}]}, "data did not match any variant of untagged enum Match"),
        ({"must": [{"key": "a", "range": {"gt": "soon"}}]}, "data did not match any variant of untagged enum RangeInterface"),
        ({"must": [{"key": "a[", "match": {"value": 1}}]}, 'Invalid json path: "a["'),
        ({"must": [{"has_id": ["x"]}]}, "value x is not a valid point ID, valid values are either an unsigned integer or a UUID"),
        ({"must": [{"has_id": [-1]}]}, "value integer `-1` is not a valid point ID, valid values are either an unsigned integer or a UUID"),
        ({"must": [{"nested": {"key": "a"}}]}, "missing field `filter`"),
        ({"must": [{"key": "a", "geo_radius": {"center": {"lon": 0, "lat": 91}, "radius": 1}}]}, "Wrong format of GeoPoint payload"),
    ],
)
def test_a_filter_that_is_none_is_refused_in_qdrants_words(document: Any, message: str) -> None:
    with pytest.raises(FormatError) as refused:
        compile_filter(document)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"min_should": {"conditions": [], "min_count": 0}}, "filter.min_should.min_count: value 0 invalid, must be 1 or larger"),
        ({"must": [{"key": "a", "geo_polygon": {"exterior": {"points": RING[:3]}}}]}, "filter.geo_polygon: polygon invalid, the size must"),
        ({"must": [{"key": "a", "geo_polygon": {"exterior": {"points": RING[:4]}}}]}, "filter.geo_polygon: polygon invalid, the first and"),
    ],
)
def test_a_value_out_of_range_is_refused_as_such(document: Any, message: str) -> None:
    with pytest.raises(RangeError) as refused:
        compile_filter(document)
    assert str(refused.value).startswith(message)


@settings(max_examples=100, deadline=None)
@given(PAYLOADS, st.lists(PATHS, max_size=3))
def test_payload_selectors_are_the_clients_own(payload: dict[str, Any], keys: list[str]) -> None:
    chosen = tree([parse(key) for key in keys])
    assert including(payload, chosen) == include_payload(payload, keys)
    assert excluding(payload, chosen) == exclude_payload(payload, keys)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (lambda held: merged(held, {"b": 2, "a": None}), {"a": 1, "c": 3}, {"b": 2, "c": 3}),
        (lambda held: with_value(held, parse("a.b"), {"x": 1}), {"a": {"b": {"y": 2}, "c": 3}}, {"a": {"b": {"y": 2, "x": 1}, "c": 3}}),
        (lambda held: with_value(held, parse("a.b"), {"x": 1}), {"a": 5}, {"a": {"b": {"x": 1}}}),
        (lambda held: with_value(held, parse("a[].b"), {"x": 1}), {"a": [{}, {"b": 2}]}, {"a": [{"b": {"x": 1}}, {"b": {"x": 1}}]}),
        (lambda held: with_value(held, parse("a[1]"), {"x": 1}), {"a": [{}, {"b": 2}]}, {"a": [{}, {"b": 2, "x": 1}]}),
        (lambda held: without(held, parse("a.b")), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        (lambda held: without(held, parse("a[].b")), {"a": [{"b": 1}, {"c": 2}]}, {"a": [{}, {"c": 2}]}),
        (lambda held: without(held, parse("a[]")), {"a": [1, 2]}, {"a": []}),
        (lambda held: without(held, parse("a[0]")), {"a": [1, 2]}, {"a": [1, 2]}),
        (lambda held: without(held, parse("b.c")), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ],
)
def test_payloads_are_changed_in_copies(change: Callable[[Any], Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    untouched = json.loads(json.dumps(before))
    assert change(before) == after
    assert before == untouched


@pytest.mark.parametrize("text", ["", "a..b", ".a", "a.", "a[", "a[-1]", "a[x]", "a b", "[]", "a]", 'a"b"', '""', "a[" + "1" * 30 + "]"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(PathError):
        parse(text)


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - the zone is part of the text
    st.sampled_from(["T", " "]),
    st.sampled_from(["", "Z", "z", "+02:00", "-0930", "+01", " UTC", " +01:00"]),
)
def test_moments_are_read_as_the_client_reads_them(when: datetime, between: str, zone: str) -> None:
    text = when.isoformat(sep=between, timespec="microseconds" if when.microsecond else "seconds") + zone
    found = moment(text)
    assert found is not None
    assert found == datetime_utils.parse(text)
    assert microseconds(found) == datetime_to_microseconds(found)


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-13-01", "2024-01-01T25:00:00", "2024-01-01T10", "10:00:00", "2024-01-01Z", 5, None, "٢٠٢٤-01-01"]
)
def test_what_is_no_moment(text: Any) -> None:
    assert moment(text) is None
