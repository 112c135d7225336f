"""Qdrant's interface, answer by answer: what succeeds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mocks.vector.qdrant.service import QdrantSettings
from tests.unit.mocks_vector.qdrant_ask import DOCS, UUID, Qdrant, with_five_points

COMPLETED = "completed"


@pytest.fixture
def qdrant() -> Qdrant:
    return with_five_points()


def ids(points: list[dict[str, Any]]) -> list[Any]:
    return [point["id"] for point in points]


def payload(qdrant: Qdrant, id: Any) -> Any:
    return qdrant.good("POST", f"{DOCS}/points", {"ids": [id]})[0]["payload"]


# --- points


def test_a_search_shows_what_is_asked_for(qdrant: Qdrant) -> None:
    bare = qdrant.good("POST", f"{DOCS}/points/query", {"query": [1, 0], "limit": 2})
    assert bare == {"points": [{"id": 3, "version": 1, "score": 3.0}, {"id": 2, "version": 1, "score": 2.0}]}
    body = {"query": {"nearest": [1, 0]}, "limit": 1, "with_payload": {"include": ["n"]}, "with_vector": True, "offset": 1}
    assert qdrant.good("POST", f"{DOCS}/points/query", body) == {
        "points": [{"id": 2, "version": 1, "score": 2.0, "payload": {"n": 2}, "vector": [2.0, 1.0]}]
    }
    body = {"query": 3, "score_threshold": 3, "filter": {"must_not": [{"key": "tags", "match": {"value": "odd"}}]}, "with_payload": ["n"]}
    assert qdrant.good("POST", f"{DOCS}/points/query", body) == {"points": [{"id": 2, "version": 1, "score": 7.0, "payload": {"n": 2}}]}


def test_without_a_query_points_come_by_id(qdrant: Qdrant) -> None:
    found = qdrant.good("POST", f"{DOCS}/points/query", {"limit": 10})["points"]
    assert [(one["id"], one["score"]) for one in found] == [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.0), (UUID, 0.0)]


def test_a_batch_answers_each_query(qdrant: Qdrant) -> None:
    searches = [{"query": [1, 0], "limit": 1}, {"query": [-1, 0], "limit": 2}]
    found = qdrant.good("POST", f"{DOCS}/points/query/batch", {"searches": searches})
    assert [ids(one["points"]) for one in found] == [[3], [UUID, 0]]


def test_groups_are_the_best_of_each_value(qdrant: Qdrant) -> None:
    body = {"query": [1, 0], "group_by": "tags", "limit": 2, "group_size": 2}
    groups = qdrant.good("POST", f"{DOCS}/points/query/groups", body)["groups"]
    assert [(group["id"], ids(group["hits"])) for group in groups] == [("odd", [3, 1]), ("all", [3, 2])]


def test_prefetched_points_are_fused_or_ranked_again(qdrant: Qdrant) -> None:
    prefetch = [{"query": [1, 0], "limit": 2}, {"query": [0, 1], "limit": 2}]
    fused = qdrant.good("POST", f"{DOCS}/points/query", {"prefetch": prefetch, "query": {"fusion": "rrf"}})["points"]
    assert [(one["id"], pytest.approx(one["score"])) for one in fused] == [(3, 0.5), (0, 0.5), (2, 1 / 3), (1, 1 / 3)]
    again = qdrant.good("POST", f"{DOCS}/points/query", {"prefetch": prefetch[0], "query": [-1, 0]})["points"]
    assert ids(again) == [2, 3]
    filtered = {"prefetch": prefetch, "query": {"rrf": {"k": 1}}, "filter": {"must": {"key": "n", "range": {"lt": 2}}}}
    assert ids(qdrant.good("POST", f"{DOCS}/points/query", filtered)["points"]) == [1, 0]


def test_recommendations_leave_out_what_they_are_made_of(qdrant: Qdrant) -> None:
    body = {"query": {"recommend": {"positive": [1, [3, 1]], "negative": [0]}}, "limit": 2}
    found = qdrant.good("POST", f"{DOCS}/points/query", body)["points"]
    assert [(one["id"], one["score"]) for one in found] == [(3, 13.0), (2, 9.0)]


def test_scrolling_goes_page_by_page(qdrant: Qdrant) -> None:
    seen, offset = [], None
    for _ in range(3):
        page = qdrant.good("POST", f"{DOCS}/points/scroll", {"limit": 2, "offset": offset, "with_payload": False})
        assert all(set(point) == {"id"} for point in page["points"])
        seen.append(ids(page["points"]))
        offset = page["next_page_offset"]
    assert (seen, offset) == ([[0, 1], [2, 3], [UUID]], None)


def test_scrolling_in_the_order_of_a_field_wants_an_index(qdrant: Qdrant) -> None:
    body = {"order_by": {"key": "n", "direction": "desc", "start_from": 2}, "limit": 2}
    status, message = qdrant.refused("POST", f"{DOCS}/points/scroll", body)
    assert (status, message.split(".")[0]) == (400, "Wrong input: No range index for `order_by` key: `n`")
    qdrant.good("PUT", f"{DOCS}/index?wait=true", {"field_name": "n", "field_schema": "integer"})
    page = qdrant.good("POST", f"{DOCS}/points/scroll", body)
    assert [(one["id"], one["order_value"]) for one in page["points"]] == [(2, 2), (1, 1)]
    assert page["next_page_offset"] is None
    found = qdrant.good("POST", f"{DOCS}/points/query", {"query": {"order_by": "n"}, "limit": 2})
    assert ids(found["points"]) == [0, 1]


def test_counts_and_facets_are_exact(qdrant: Qdrant) -> None:
    odd = {"filter": {"must": [{"key": "tags", "match": {"any": ["odd"]}}]}}
    assert qdrant.good("POST", f"{DOCS}/points/count", {}) == {"count": 5}
    assert qdrant.good("POST", f"{DOCS}/points/count", odd) == {"count": 2}
    qdrant.good("PUT", f"{DOCS}/index", {"field_name": "tags", "field_schema": {"type": "keyword", "is_tenant": True}})
    hits = [{"value": "all", "count": 4}, {"value": "even", "count": 2}]
    assert qdrant.good("POST", f"{DOCS}/facet", {"key": "tags", "limit": 2}) == {"hits": hits}


def test_points_are_read_by_id(qdrant: Qdrant) -> None:
    assert ids(qdrant.good("POST", f"{DOCS}/points", {"ids": [3, 99, UUID, 3]})) == [3, UUID]
    assert qdrant.good("GET", f"{DOCS}/points/3") == {"id": 3, "payload": {"n": 3, "tags": ["odd", "all"]}, "vector": [3.0, 1.0]}
    assert qdrant.refused("GET", f"{DOCS}/points/9") == (404, "Not found: Point with id 9 does not exists!")


def test_payloads_are_merged_overwritten_and_deleted(qdrant: Qdrant) -> None:
    qdrant.good("POST", f"{DOCS}/points/payload?wait=true", {"payload": {"a": {"b": 1}, "tags": None}, "points": [0]})
    assert payload(qdrant, 0) == {"n": 0, "a": {"b": 1}}
    qdrant.good("POST", f"{DOCS}/points/payload", {"payload": {"c": 2}, "points": [0], "key": "a"})
    assert payload(qdrant, 0) == {"n": 0, "a": {"b": 1, "c": 2}}
    qdrant.good("POST", f"{DOCS}/points/payload/delete", {"keys": ["a.b", "n"], "points": [0]})
    assert payload(qdrant, 0) == {"a": {"c": 2}}
    qdrant.good("PUT", f"{DOCS}/points/payload", {"payload": {"z": 1}, "filter": {"must": [{"has_id": [0, 1]}]}})
    assert (payload(qdrant, 0), payload(qdrant, 1)) == ({"z": 1}, {"z": 1})
    qdrant.good("POST", f"{DOCS}/points/payload/clear", {"points": [0]})
    assert payload(qdrant, 0) == {}
    missing = (404, "Not found: No point with id 77 found")
    assert qdrant.refused("POST", f"{DOCS}/points/payload", {"payload": {"y": 1}, "points": [1, 77]}) == missing
    assert payload(qdrant, 1) == {"z": 1, "y": 1}


def test_deleting_takes_ids_or_a_filter(qdrant: Qdrant) -> None:
    assert qdrant.good("POST", f"{DOCS}/points/delete?wait=true", {"points": [0, 99]})["status"] == COMPLETED
    qdrant.good("POST", f"{DOCS}/points/delete", {"filter": {"must": {"key": "n", "range": {"gte": 2}}}})
    assert ids(qdrant.good("POST", f"{DOCS}/points/scroll", {})["points"]) == [1, UUID]


def test_operations_of_a_batch_are_made_in_order(qdrant: Qdrant) -> None:
    operations: list[dict[str, Any]] = [
        {"upsert": {"batch": {"ids": [8, 9], "vectors": [[1, 1], [2, 2]], "payloads": [{"n": 8}, None]}}},
        {"set_payload": {"payload": {"m": 1}, "points": [9]}},
        {"update_vectors": {"points": [{"id": 8, "vector": [5, 5]}]}},
        {"overwrite_payload": {"payload": {"o": 1}, "points": [8]}},
        {"delete_payload": {"keys": ["m"], "points": [9]}},
        {"clear_payload": {"points": [1]}},
        {"delete_vectors": {"points": [2], "vector": [""]}},
        {"delete": {"points": [0]}},
    ]
    results = qdrant.good("POST", f"{DOCS}/points/batch?wait=true", {"operations": operations})
    assert [one["status"] for one in results] == [COMPLETED] * 8
    found = qdrant.good("POST", f"{DOCS}/points", {"ids": [0, 1, 2, 8, 9], "with_vector": True})
    assert found == [
        {"id": 1, "payload": {}, "vector": [1.0, 1.0]},
        {"id": 2, "payload": {"n": 2, "tags": ["even", "all"]}, "vector": {}},
        {"id": 8, "payload": {"o": 1}, "vector": [5.0, 5.0]},
        {"id": 9, "payload": {}, "vector": [2.0, 2.0]},
    ]


def test_upserts_may_leave_alone_what_is_there(qdrant: Qdrant) -> None:
    new = [{"id": 0, "vector": [9, 9]}, {"id": 50, "vector": [9, 9]}]
    qdrant.good("PUT", f"{DOCS}/points", {"points": new, "update_mode": "insert_only"})
    assert (payload(qdrant, 0), payload(qdrant, 50)) == ({"n": 0, "tags": ["even", "all"]}, {})
    new = [{"id": 1, "vector": [9, 9]}, {"id": 51, "vector": [9, 9]}]
    qdrant.good("PUT", f"{DOCS}/points", {"points": new, "update_mode": "update_only"})
    assert (payload(qdrant, 1), len(qdrant.good("POST", f"{DOCS}/points", {"ids": [51]}))) == ({}, 0)
    body = {"points": [{"id": id, "vector": [9, 9]} for id in (2, 3)], "update_filter": {"must": {"key": "n", "match": {"value": 3}}}}
    qdrant.good("PUT", f"{DOCS}/points", body)
    assert (payload(qdrant, 2), payload(qdrant, 3)) == ({"n": 2, "tags": ["even", "all"]}, {})


def test_wait_says_how_far_a_write_is(qdrant: Qdrant) -> None:
    body = {"points": [{"id": 1, "vector": [1, 1]}]}
    before = qdrant.good("PUT", f"{DOCS}/points?wait=false", body)
    assert (before["status"], qdrant.good("PUT", f"{DOCS}/points", body)["status"]) == ("acknowledged", "acknowledged")
    after = qdrant.good("PUT", f"{DOCS}/points?wait=true&ordering=weak", body)
    assert after == {"operation_id": before["operation_id"] + 2, "status": COMPLETED}
    message = "Deserialize error in query parameters: provided string was not `true` or `false`"
    assert qdrant.refused("PUT", f"{DOCS}/points?wait=yes", body) == (400, message)


def test_cosine_vectors_are_normalised_when_they_come() -> None:
    qdrant = Qdrant()
    qdrant.good("PUT", DOCS, {"vectors": {"size": 2, "distance": "Cosine"}})
    qdrant.good("PUT", f"{DOCS}/points", {"points": [{"id": 1, "vector": [3, 4]}, {"id": 2, "vector": [0, 0]}]})
    found = qdrant.good("POST", f"{DOCS}/points/query", {"query": [30, 40], "with_vector": True})["points"]
    assert [(one["id"], one["score"], one["vector"]) for one in found] == [(1, 1.0, [0.6, 0.8]), (2, 0.0, [0.0, 0.0])]


@pytest.mark.parametrize(("distance", "score"), [("Euclid", 5.0), ("Manhattan", 7.0)])
def test_distances_rank_the_smallest_first(distance: str, score: float) -> None:
    qdrant = Qdrant()
    qdrant.good("PUT", DOCS, {"vectors": {"size": 2, "distance": distance}})
    qdrant.good("PUT", f"{DOCS}/points", {"points": [{"id": 1, "vector": [30, 40]}, {"id": 2, "vector": [3, 4]}]})
    body = {"query": [0, 0], "score_threshold": score}
    assert qdrant.good("POST", f"{DOCS}/points/query", body) == {"points": [{"id": 2, "version": 1, "score": score}]}


def test_named_vectors_have_spaces_of_their_own() -> None:
    qdrant = Qdrant()
    vectors = {"text": {"size": 2, "distance": "Dot"}, "image": {"size": 1, "distance": "Euclid"}}
    qdrant.good("PUT", DOCS, {"vectors": vectors})
    points = [{"id": 1, "vector": {"text": [1, 1], "image": [5]}}, {"id": 2, "vector": {"text": [2, 2]}}]
    qdrant.good("PUT", f"{DOCS}/points", {"points": points})
    assert ids(qdrant.good("POST", f"{DOCS}/points/query", {"query": [1, 1], "using": "text"})["points"]) == [2, 1]
    assert ids(qdrant.good("POST", f"{DOCS}/points/query", {"query": [1], "using": "image"})["points"]) == [1]
    assert qdrant.good("GET", f"{DOCS}/points/1")["vector"] == {"image": [5.0], "text": [1.0, 1.0]}
    only = qdrant.good("POST", f"{DOCS}/points", {"ids": [1], "with_vector": ["image"]})
    assert only[0]["vector"] == {"image": [5.0]}
    names = "Wrong input: Collection requires specified vector name in the request, available names: image, text"
    assert qdrant.refused("POST", f"{DOCS}/points/query", {"query": [1, 1]}) == (400, names)
    unknown = (400, "Wrong input: Not existing vector name error: sound")
    assert qdrant.refused("POST", f"{DOCS}/points/query", {"query": [1, 1], "using": "sound"}) == unknown
    assert qdrant.refused("PUT", f"{DOCS}/points", {"points": [{"id": 3, "vector": {"sound": [1]}}]}) == unknown
    batch = {"batch": {"ids": [7, 8], "vectors": {"text": [[1, 2], [3, 4]]}}}
    qdrant.good("PUT", f"{DOCS}/points", batch)
    assert qdrant.good("GET", f"{DOCS}/points/8")["vector"] == {"text": [3.0, 4.0]}


def test_searches_of_older_clients(qdrant: Qdrant) -> None:
    assert ids(qdrant.good("POST", f"{DOCS}/points/search", {"vector": [1, 0], "limit": 1})) == [3]
    named = {"vector": {"name": "", "vector": [1, 0]}, "limit": 2}
    assert [ids(one) for one in qdrant.good("POST", f"{DOCS}/points/search/batch", {"searches": [named, named]})] == [[3, 2], [3, 2]]
    assert ids(qdrant.good("POST", f"{DOCS}/points/recommend", {"positive": [1], "limit": 1})) == [3]
    assert qdrant.good("POST", f"{DOCS}/points/recommend/batch", {"searches": []}) == []
    assert qdrant.refused("POST", f"{DOCS}/points/search", {"vector": [1, 0]})[1].startswith(
        "Format error in JSON body: missing field `limit`"
    )


# --- collections


def test_collections_are_created_listed_changed_and_deleted(qdrant: Qdrant) -> None:
    assert qdrant.good("GET", "/collections") == {"collections": [{"name": "docs"}]}
    assert qdrant.good("GET", f"{DOCS}/exists") == {"exists": True}
    assert qdrant.refused("PUT", DOCS, {"vectors": {"size": 2, "distance": "Dot"}}) == (
        409,
        "Wrong input: Collection `docs` already exists!",
    )
    change = {"optimizers_config": {"indexing_threshold": 5}, "params": {"replication_factor": 2}, "metadata": {"owner": "me"}}
    assert qdrant.good("PATCH", DOCS, change) is True
    info = qdrant.good("GET", DOCS)
    assert (info["status"], info["points_count"], info["config"]["params"]["vectors"]) == ("green", 5, {"size": 2, "distance": "Dot"})
    assert info["config"]["optimizer_config"]["indexing_threshold"] == 5
    assert (info["config"]["params"]["replication_factor"], info["config"]["metadata"]) == (2, {"owner": "me"})
    assert qdrant.good("DELETE", DOCS) is True
    assert qdrant.good("DELETE", DOCS) is False
    assert qdrant.good("GET", f"{DOCS}/exists") == {"exists": False}
    assert qdrant.refused("GET", DOCS) == (404, "Not found: Collection `docs` doesn't exist!")


def test_payload_indexes_are_shown_with_their_points(qdrant: Qdrant) -> None:
    qdrant.good("PUT", f"{DOCS}/index?wait=true", {"field_name": "tags", "field_schema": "keyword"})
    assert qdrant.good("GET", DOCS)["payload_schema"] == {"tags": {"data_type": "keyword", "points": 4}}
    assert qdrant.good("DELETE", f"{DOCS}/index/tags?wait=true")["status"] == COMPLETED
    assert qdrant.good("GET", DOCS)["payload_schema"] == {}
    assert qdrant.refused("PUT", f"{DOCS}/index", {"field_name": "x", "field_schema": "colour"})[0] == 400


def test_aliases_stand_for_collections(qdrant: Qdrant) -> None:
    create = {"create_alias": {"alias_name": "live", "collection_name": "docs"}}
    assert qdrant.good("POST", "/collections/aliases", {"actions": [create]}) is True
    assert qdrant.good("POST", "/collections/live/points/count", {}) == {"count": 5}
    pair = {"aliases": [{"alias_name": "live", "collection_name": "docs"}]}
    assert (qdrant.good("GET", "/aliases"), qdrant.good("GET", f"{DOCS}/aliases")) == (pair, pair)
    rename = {"rename_alias": {"old_alias_name": "live", "new_alias_name": "now"}}
    missing = {"create_alias": {"alias_name": "x", "collection_name": "none"}}
    assert qdrant.refused("POST", "/collections/aliases", {"actions": [rename, missing]})[0] == 404
    assert qdrant.good("GET", "/aliases") == pair
    qdrant.good("POST", "/collections/aliases", {"actions": [rename]})
    assert qdrant.refused("PUT", "/collections/now", {"vectors": {"size": 2, "distance": "Dot"}})[0] == 400
    qdrant.good("DELETE", DOCS)
    assert qdrant.good("GET", "/aliases") == {"aliases": []}


def test_an_old_server_shows_what_its_clients_want_to_see() -> None:
    qdrant = Qdrant(QdrantSettings("1.1.0"))
    qdrant.good("PUT", DOCS, {"vectors": {"size": 2, "distance": "Dot"}})
    info = qdrant.good("GET", DOCS)
    assert (info["vectors_count"], info["config"]["optimizer_config"]["max_optimization_threads"]) == (0, 1)
    assert json.loads(qdrant.whole("GET", "/").body)["result"]["version"] == "1.1.0"
