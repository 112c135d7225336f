"""Searches as they were asked for before there was the universal query: the same query, in other words."""

from collections.abc import Mapping
from typing import Any

from mocks.vector.call import Outcome
from mocks.vector.collection import Collection
from mocks.vector.qdrant import reads
from mocks.vector.qdrant.decode import FormatError, a_list, an_object, field
from mocks.vector.qdrant.requests import Find

Body = Mapping[str, Any]

_RECOMMENDED = ("positive", "negative", "strategy")


def search(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/search`."""
    return _unpacked(reads.query(collection, _search(body), find))


def search_batch(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/search/batch`."""
    return _unpacked(reads.query_batch(collection, {"searches": a_list(field(body, "searches"), _search)}, find), many=True)


def search_groups(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/search/groups`."""
    return reads.query_groups(collection, _search(body, limited=False), find)


def recommend(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/recommend`."""
    return _unpacked(reads.query(collection, _recommend(body), find))


def recommend_batch(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/recommend/batch`."""
    return _unpacked(reads.query_batch(collection, {"searches": a_list(field(body, "searches"), _recommend)}, find), many=True)


def recommend_groups(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/recommend/groups`."""
    return reads.query_groups(collection, _recommend(body, limited=False), find)


def _search(document: Any, *, limited: bool = True) -> dict[str, Any]:
    asked = _asked(document, limited=limited)
    vector = field(asked, "vector")
    if isinstance(vector, dict):
        return {**asked, "query": {"nearest": field(vector, "vector")}, "using": field(vector, "name")}
    if not isinstance(vector, list):
        raise FormatError("data did not match any variant of untagged enum NamedVectorStruct")
    return {**asked, "query": {"nearest": vector}}


def _recommend(document: Any, *, limited: bool = True) -> dict[str, Any]:
    asked = _asked(document, limited=limited)
    return {**asked, "query": {"recommend": {key: asked[key] for key in _RECOMMENDED if key in asked}}}


def _asked(document: Any, *, limited: bool) -> dict[str, Any]:
    asked = dict(an_object(document, "struct SearchRequest"))
    if limited:
        field(asked, "limit")  # which had to be given then
    return {key: value for key, value in asked.items() if key not in ("query", "prefetch")}


def _unpacked(outcome: Outcome, *, many: bool = False) -> Outcome:
    """Without the object around each list of points."""
    inner = outcome.body
    outcome.body = lambda lists: [one["points"] for one in inner(lists)] if many else inner(lists)["points"]
    return outcome
