"""Whatever is sent to whatever route: an answer in Qdrant's form, never an error of the mock's own."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mocks.vector.qdrant.routes import ROUTES
from tests.unit.mocks_vector.qdrant_ask import Qdrant

FILTER = {
    "must": [{"key": "a.b[]", "match": {"value": 1}}, {"has_id": [1]}, {"nested": {"key": "a", "filter": {"must_not": []}}}],
    "should": [{"key": "a", "range": {"gt": 1}}, {"key": "a", "values_count": {"lt": 2}}, {"is_empty": {"key": "a"}}],
    "min_should": {"conditions": [{"key": "g", "geo_radius": {"center": {"lon": 1, "lat": 2}, "radius": 3}}], "min_count": 1},
}
QUERY = {
    "prefetch": [{"query": [1, 2], "limit": 2}, {"query": 1, "filter": FILTER}],
    "query": {"fusion": "rrf"},
    "limit": 2,
    "score_threshold": 0.5,
    "with_payload": {"exclude": ["a"]},
    "with_vector": [""],
    "params": {"exact": True},
}
POINT = {"id": 1, "vector": [1, 2], "payload": {"a": {"b": [1, None]}}}
UPSERT = {"points": [POINT, {**POINT, "id": "00000000-0000-0000-0000-000000000001", "vector": {"": [1, 2]}}], "update_filter": FILTER}
SET_PAYLOAD = {"payload": {"a": 1}, "points": [1], "key": "a.b"}
VECTORS = {"size": 2, "distance": "Cosine"}
ALIAS = {"create_alias": {"alias_name": "x", "collection_name": "docs"}}
GOOD: list[Any] = [
    None,
    {"ids": [1]},
    {"vectors": VECTORS, "hnsw_config": {"m": 4}, "metadata": {"a": 1}},
    {"vectors": {"text": VECTORS}, "params": {"replication_factor": 2}},
    UPSERT,
    {"batch": {"ids": [1, 2], "vectors": [[1, 2], [3, 4]], "payloads": [None, {}]}},
    {"points": [{"id": 1, "vector": {"": [1, 2]}}]},
    {"points": [1], "vector": [""]},
    SET_PAYLOAD,
    {"keys": ["a.b"], "filter": FILTER},
    {"filter": FILTER, "limit": 2, "offset": 1, "exact": True},
    {"order_by": {"key": "a", "direction": "desc", "start_from": 1}, "limit": 2},
    QUERY,
    {"query": {"recommend": {"positive": [1, [1, 2]], "negative": [2]}}, "lookup_from": {"collection": "docs", "vector": ""}},
    {"query": {"order_by": "a"}, "limit": 1},
    {"query": {"rrf": {"k": 2, "weights": [1, 2]}}, "prefetch": {"query": [1, 2]}},
    {"query": [1, 2], "group_by": "a", "group_size": 1},
    {"searches": [QUERY, {"query": [1, 2]}]},
    {"searches": [{"vector": {"name": "", "vector": [1, 2]}, "limit": 1}]},
    {"vector": [1, 2], "limit": 1, "filter": FILTER},
    {"positive": [1], "limit": 1},
    {"field_name": "a", "field_schema": {"type": "integer", "range": True}},
    {"actions": [ALIAS, {"delete_alias": {"alias_name": "x"}}, {"rename_alias": {"old_alias_name": "x", "new_alias_name": "y"}}]},
    {"operations": [{"upsert": UPSERT}, {"set_payload": SET_PAYLOAD}, {"delete": {"points": [1]}}, {"clear_payload": {"filter": FILTER}}]},
    {"key": "a", "limit": 2, "filter": FILTER},
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "key", "points", "nearest", ""]), inner, max_size=3),
    max_leaves=5,
)
PARTS = {
    "name": ["docs", "none", "a%20b", "%00"],
    "id": ["1", "x", "00000000-0000-0000-0000-000000000001", "9" * 30],
    "field": ["a", "a%5B"],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, item in inner for one in places(item, (*path, key)))]


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A good body, up to three parts of which have become something else, or have gone."""
    body = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(body)))
        if not path:
            return draw(JSON_VALUES)
        *parents, last = path
        inside = body
        for key in parents:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(JSON_VALUES)
        else:
            del inside[last]
    return body


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Any]:
    """Method, path and body."""
    route = draw(st.sampled_from(ROUTES))
    path = route.pattern
    for name, values in PARTS.items():
        path = path.replace(f"{{{name}}}", draw(st.sampled_from(values)))
    return route.method, path + draw(st.sampled_from(["", "?wait=true", "?wait=", "?timeout=x"])), draw(bodies())


@settings(max_examples=250, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4))
@example([("POST", "/collections/docs/points/query", {"query": QUERY})])
def test_every_answer_is_qdrants(asked: list[tuple[str, str, Any]]) -> None:
    qdrant = Qdrant()
    qdrant.good("PUT", "/collections/docs", {"vectors": {"size": 2, "distance": "Dot"}})
    qdrant.good("PUT", "/collections/docs/points", UPSERT)
    for method, path, body in asked:
        answer = qdrant.whole(method, path, b"" if body is None else json.dumps(body).encode())
        assert answer.status in (200, 400, 404, 409, 422), answer.body
        if answer.content_type != "application/json":
            continue
        document = orjson.loads(answer.body)
        if answer.status == 200:
            assert path.partition("?")[0] == "/" or (document["status"], "result" in document) == ("ok", True)
        else:
            assert isinstance(document["status"]["error"], str)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ROUTES), st.binary(max_size=40))
def test_bytes_that_are_no_json_are_refused(route: Any, raw: bytes) -> None:
    path = route.pattern.replace("{name}", "docs").replace("{id}", "1").replace("{field}", "a")
    assert Qdrant().whole(route.method, path, raw).status in (200, 400, 404)
