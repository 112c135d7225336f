"""Whatever is sent to the mock Chroma, it answers in Chroma's words: no body makes it fail."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.http.message import Request
from mocks.vector.chroma.routes import ROUTES, VERSION_1, Route
from mocks.vector.chroma.service import ChromaService
from mocks.vector.plan import VectorError
from mocks.vector.store import Limits, Store

_WORDS = st.sampled_from(
    ["a", "b", "docs", "x", "#x", "", "default_tenant", "default_database", "$and", "$in", "$regex", "(", "AACAPwAAgD8="]
)
_LEAVES = st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats() | _WORDS | st.text(max_size=4)
_WHERE_KEYS = st.sampled_from(
    ["$and", "$or", "$eq", "$ne", "$gt", "$lte", "$in", "$nin", "$contains", "$not_contains", "$regex", "#document", "t", ""]
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WHERE_KEYS | _WORDS, inner, max_size=3), max_leaves=8
)
_NAMES = st.sampled_from(
    [
        "ids", "embeddings", "query_embeddings", "documents", "metadatas", "uris", "where", "where_document", "include", "limit", "offset",
        "n_results", "name", "metadata", "configuration", "get_or_create", "new_name", "new_metadata", "new_configuration", "resource_name",
    ]
)  # fmt: skip
_CONFIGURATIONS = st.dictionaries(
    st.sampled_from(["hnsw", "spann", "embedding_function", "other"]),
    st.dictionaries(st.sampled_from(["space", "ef_search", "M"]), _VALUES | st.sampled_from(["l2", "ip"]), max_size=2) | _VALUES,
    max_size=2,
)
_COLUMNS = st.fixed_dictionaries(
    {},
    optional={
        "ids": st.lists(_WORDS, max_size=3) | _VALUES,
        "embeddings": st.lists(st.lists(st.floats(width=32), min_size=2, max_size=2), max_size=3) | _VALUES,
        "query_embeddings": st.lists(st.lists(st.floats(width=32), max_size=3), max_size=3) | _VALUES,
        "metadatas": st.lists(st.none() | st.dictionaries(_WORDS, _VALUES, max_size=2), max_size=3) | _VALUES,
        "documents": st.lists(st.none() | _WORDS, max_size=3) | _VALUES,
        "where": st.dictionaries(_WHERE_KEYS, _VALUES, min_size=1, max_size=1),
        "where_document": st.dictionaries(_WHERE_KEYS, _VALUES, min_size=1, max_size=1),
        "configuration": _CONFIGURATIONS,
        "new_configuration": _CONFIGURATIONS,
        "name": st.sampled_from(["docs", "more", "x"]),
        "include": st.lists(st.sampled_from(["documents", "embeddings", "metadatas", "distances", "uris", "data"]), max_size=5),
    },
)
_BODIES = _COLUMNS | st.dictionaries(_NAMES, _VALUES, max_size=5) | _VALUES
_ID = "2f0e8c9a-5f0b-4f0e-9f57-0c2f6f1d7a11"
_SEGMENTS = {
    "{tenant}": "default_tenant",
    "{database}": "default_database",
    "{collection}": _ID,
    "{function}": "f",
    "{rest}": "collections",
}


def _service() -> ChromaService:
    """With one collection that holds two records."""
    store = Store(Limits(points=50, collections=3))
    service = ChromaService(store)
    _answer(service, "POST", _path(_route("POST", "/collections")), {"name": "docs"})
    (collection,) = store.collections
    _SEGMENTS["{collection}"] = collection
    filling = {"ids": ["a", "b"], "embeddings": [[1, 2], [3, 4]], "documents": ["alpha", None], "metadatas": [{"t": 1}, None]}
    assert _answer(service, "POST", _path(_route("POST", "/add")), filling) == 201
    return service


def _route(method: str, ending: str) -> Route:
    return next(route for route in ROUTES if route.method == method and route.pattern.endswith(ending))


def _path(route: Route) -> str:
    path = route.pattern
    for segment, value in _SEGMENTS.items():
        path = path.replace(segment, value)
    return path


def _answer(service: ChromaService, method: str, path: str, body: Any, query: str = "") -> int:
    """The status; the answer is encoded, as it would be sent."""
    sent = body if isinstance(body, bytes) else orjson.dumps(body, default=repr)
    request = Request(method, path, query, {b"content-type": b"application/json"}, sent, 1, 1, 0.0, path)
    try:
        outcome = service.call(request).perform()
        if outcome.commit is not None:
            outcome.commit()
        return service.answer(outcome.body(outcome.lists), outcome.status, 0.0).status
    except VectorError as error:
        answer = service.refusal(error, 0.0)
        assert not answer.body or set(orjson.loads(answer.body)) == {"error", "message"}
        return answer.status


@given(
    st.sampled_from([*ROUTES, VERSION_1]),
    st.lists(_BODIES, min_size=1, max_size=4),
    st.sampled_from(["", "limit=1", "limit=x&offset=-1", "read_level=y"]),
)
@settings(max_examples=200, deadline=None)
def test_every_body_is_answered(route: Route, bodies: list[Any], query: str) -> None:
    service = _service()
    for body in bodies:
        assert 200 <= _answer(service, route.method, _path(route), body, query) <= 501


@pytest.mark.parametrize(("levels", "status"), [(62, 200), (64, 400), (200, 400), (400, 400), (2000, 400)])
@pytest.mark.parametrize(("clause", "least"), [("where", b'{"t":1}'), ("where_document", b'{"$contains":"a"}')])
def test_a_filter_may_go_as_deep_as_the_parser(clause: str, least: bytes, levels: int, status: int) -> None:
    service = _service()
    body = b'{"%b":%b%b%b}' % (clause.encode(), b'{"$and":[' * levels, least, b"]}" * levels)
    assert _answer(service, "POST", _path(_route("POST", "/get")), body) == status


@given(st.sampled_from(ROUTES), st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_string_of_bytes_is_answered(route: Route, body: bytes) -> None:
    assert 200 <= _answer(_service(), route.method, _path(route), body) <= 501
