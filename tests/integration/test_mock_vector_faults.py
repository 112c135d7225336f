"""Every fault of the vector services, with each product: it bites, is counted, and leaves no trace when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mocks.faults.documents import example
from mocks.vector.faults import FAULTS
from mocks.vector.plan import Product
from tests.integration.http_service import wait_until
from tests.integration.vector_fault_checks import ASKED, CHECKS, OLD, SIZE, K, document, error_of, ids, refused
from tests.integration.vector_rig import Ask, Doc, Found, Rig

PRODUCTS: tuple[Product, ...] = ("qdrant", "chroma")
PARAMETERS: dict[str, Mapping[str, Any]] = {
    "slow_answer": {"delay_s": 0.2},
    "slow_headers": {"over_s": 0.2},
    "brownout": {"per_in_flight_s": 0.2},
    "oversize_payload": {"size_bytes": 50_000},
}


@pytest.fixture(scope="module", params=PRODUCTS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Rig(request.param, {"seed": 7}) as served:
        yield served


@pytest.fixture
def ask(rig: Rig) -> Iterator[Ask]:
    """A client of a collection in its first state: document 1 was replaced once."""
    client = rig.asking()
    client.create()
    client.write([Doc(1, document(1).vector, OLD)])
    client.write([document(number) for number in range(SIZE)])
    yield client
    client.close()


def test_every_type_has_its_check() -> None:
    assert CHECKS.keys() == FAULTS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_a_fault_bites_is_counted_and_leaves_no_trace(name: str, rig: Rig, ask: Ask) -> None:
    honest = [Found(number, round(_score(rig, number), 5), document(number).text, "ab"[number % 2]) for number in range(K)]
    assert rounded(ask.search(ASKED, K)) == honest
    with rig.fault({**example(name, FAULTS[name]), **PARAMETERS.get(name, {})}) as fault:
        CHECKS[name](rig, ask)
        assert fault.applied >= 1 or name in FAULTS.standing  # which no call meets: the port is shut
    _wiped(rig)
    again = rig.asking()
    again.create()
    assert rounded(again.search(ASKED, K)) == honest
    again.close()


def rounded(found: list[Found]) -> list[Found]:
    return [replace(one, score=round(one.score or 0.0, 5)) for one in found]


def _score(rig: Rig, number: int) -> float:
    similarity = math.cos(number * math.pi / 2 / SIZE)
    return similarity if rig.product == "qdrant" else 1 - similarity


def _wiped(rig: Rig) -> None:
    """Take back what a check has written."""
    client = rig.asking()
    client.create()
    client.forget(500)
    client.write([document(0)])
    client.close()


@pytest.mark.parametrize(
    ("status", "qdrant", "chroma"),
    [
        (
            400,
            "Wrong input: the request cannot be carried out",
            ("InvalidArgumentError", "Validation error: the request cannot be carried out"),
        ),
        (404, "Not found: Collection `docs` doesn't exist!", ("NotFoundError", "Collection [docs] does not exist.")),
        (408, "Timeout error: Operation 'Search' timed out after 60 seconds", ("ChromaError", "Request timed out")),
        (429, "Rate limiting exceeded: Read rate limit exceeded, retry later", ("ChromaError", "You have been rate limited.")),
        (503, "Service internal error: Shard 0 is not available", ("ChromaError", "Service unavailable")),
    ],
)
def test_every_status_is_told_in_the_products_words(rig: Rig, ask: Ask, status: int, qdrant: str, chroma: tuple[str, str]) -> None:
    with rig.fault({"type": "service_error", "status": status, "retry_after_s": 1.2}):
        answer = refused(rig, ask, status)
    assert error_of(answer) == (qdrant if rig.product == "qdrant" else chroma)
    assert answer.headers["retry-after"] == "2"


def test_what_was_acknowledged_becomes_visible_after_its_time(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "acknowledged_not_visible", "delay_s": 1.5}):
        ask.write([Doc(500, ASKED, "Visible later.")])
        assert ask.read([500]) == []
    wait_until(lambda: [one.text for one in ask.read([500])] == ["Visible later."])
    _wiped(rig)


def test_a_write_that_would_be_refused_is_refused_although_it_would_never_be_visible(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "acknowledged_not_visible"}) as fault:
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            ask.write([Doc(500, [1.0, 0.0], "Two dimensions.")])
        assert fault.applied == 0


def test_what_a_later_fault_leaves_no_answer_to_is_not_counted(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "degraded_recall", "recall": 0}, "lost") as lost, rig.fault({"type": "service_error"}) as refusing:
        refused(rig, ask, 500)
        assert (lost.applied, refusing.applied) == (0, 1)
    assert rig.last_row()["faults"] == [{"id": "test", "type": "service_error"}]


def test_a_refusal_is_slow_as_well(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "slow_answer", "delay_s": 0.1}, "slow"), rig.fault({"type": "service_error", "after_s": 0.1}):
        told = refused(rig, ask, 500).json()
    assert rig.last_row()["duration_ms"] >= 200
    assert rig.product == "chroma" or 0.2 <= told["time"] < 5  # which Chroma does not tell


@pytest.mark.parametrize("name", ["other_tenant", "stale_version", "duplicate_results", "brownout"])
def test_what_finds_nothing_to_change_is_not_counted(name: str, rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": name}) as fault:
        assert ids(ask.search(document(5).vector, 1)) == [5]  # no filter, never replaced, one result, nobody beside it
        assert fault.applied == 0


def test_displaced_scores_can_be_those_of_the_top(rig: Rig, ask: Ask) -> None:
    honest = [one.score for one in ask.search(ASKED, K)]
    with rig.fault({"type": "irrelevant_results", "scores": "top"}):
        found = ask.search(ASKED, K)
    assert ([one.score for one in found], min(ids(found))) == (honest, SIZE - K)


def test_only_points_of_another_value_count_as_foreign_where_a_key_tells_tenants_apart(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "other_tenant", "key": "tenant", "leaks": 2}):
        assert [one.tenant for one in ask.search(ASKED, 4, tenant="b")] == ["a", "b", "a", "b"]
    with rig.fault({"type": "other_tenant", "key": "owner"}) as fault:
        assert ids(ask.search(ASKED, 2, tenant="a")) == [0, 2]  # which no point has
        assert fault.applied == 0


def test_a_foreign_point_is_found_behind_many_of_ones_own(rig: Rig, ask: Ask) -> None:
    crowd = [Doc(1000 + number, [1.0, 0.001 * number, 0.0], "One of many.", "b") for number in range(80)]
    ask.write([*crowd, Doc(999, [1.0, 0.2, 0.0], "Of another.", "a")])
    ask.forget(0)
    with rig.fault({"type": "other_tenant", "leaks": 5}) as fault:
        found = ask.search(ASKED, 2, tenant="b")
        assert ([one.tenant for one in found], fault.applied) == (["a", "a"], 1)  # no more than were asked for
    for doc in crowd:
        ask.forget(doc.id)
    ask.forget(999)
    _wiped(rig)


def test_only_what_was_recreated_counts(rig: Rig, ask: Ask) -> None:
    with rig.fault({"type": "collection_recreated"}) as fault:
        missing = {"qdrant": "/collections/none/points/count", "chroma": f"{ask.collections}/none/get"}[rig.product]
        assert ask.http.post(missing, json={}).status_code in (400, 404)
        assert fault.applied == 0
        for _ in range(3):
            ask.search_response(ASKED, K)
        assert fault.applied == {"qdrant": 3, "chroma": 1}[rig.product]


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_same_requests_meet_the_same_fate_in_another_order(product: Product) -> None:
    questions = [[math.cos(number / 40), math.sin(number / 40), 0.2] for number in range(40)]
    fates = []
    for order in (questions, questions[::-1]):
        with Rig(product, {"seed": 3}) as rig:
            ask = rig.asking()
            ask.create()
            ask.write([document(number) for number in range(SIZE)])
            with rig.fault({"type": "degraded_recall", "recall": 0.5, "probability": 0.6}):
                fates.append({tuple(question): ids(ask.search(question, K)) for question in order})
            ask.close()
    assert fates[0] == fates[1]


@pytest.fixture
def qdrant() -> Iterator[tuple[Rig, Ask]]:
    with Rig("qdrant", {"seed": 7}) as rig:
        ask = rig.asking()
        ask.create()
        ask.write([document(number) for number in range(SIZE)])
        yield rig, ask
        ask.close()


def _result(ask: Ask, path: str, body: Mapping[str, Any]) -> Any:
    return ask.http.post(f"/collections/docs/{path}", json=body).raise_for_status().json()["result"]


def test_a_page_that_misses_points_goes_on_behind_itself(qdrant: tuple[Rig, Ask]) -> None:
    rig, ask = qdrant
    with rig.fault({"type": "degraded_recall", "recall": 0.0}):
        page = _result(ask, "points/query", {"query": ASKED, "limit": 3, "offset": 6})
    assert [one["id"] for one in page["points"]] == [9, 10, 11]


def test_a_collection_without_points_is_so_however_one_asks(qdrant: tuple[Rig, Ask]) -> None:
    rig, ask = qdrant
    ask.http.put("/collections/docs/index", json={"field_name": "tenant", "field_schema": "keyword"}).raise_for_status()
    assert _result(ask, "facet", {"key": "tenant"}) == {"hits": [{"value": "a", "count": 12}, {"value": "b", "count": 12}]}
    with rig.fault({"type": "collection_recreated"}) as fault:
        assert _result(ask, "facet", {"key": "tenant"}) == {"hits": []}
        assert _result(ask, "points/count", {}) == {"count": 0}
        assert ask.http.get("/collections/docs").json()["result"]["points_count"] == 0
        assert fault.applied == 3
        assert ask.http.get("/collections/docs/exists").json()["result"] == {"exists": True}
        assert fault.applied == 3


def test_a_group_shows_its_duplicates(qdrant: tuple[Rig, Ask]) -> None:
    rig, ask = qdrant
    body = {"query": ASKED, "limit": 2, "group_by": "tenant", "group_size": 2}
    with rig.fault({"type": "duplicate_results"}):
        groups = _result(ask, "points/query/groups", body)["groups"]
    assert [(group["id"], [hit["id"] for hit in group["hits"]]) for group in groups] == [("a", [0, 0]), ("b", [1, 1])]


def test_tenants_may_be_told_apart_by_lists(qdrant: tuple[Rig, Ask]) -> None:
    rig, ask = qdrant
    for number, owners in ((0, ["x"]), (1, ["y"]), (2, ["x"])):
        payload = {"points": [number], "payload": {"owners": owners}}
        ask.http.post("/collections/docs/points/payload?wait=true", json=payload).raise_for_status()
    with rig.fault({"type": "other_tenant", "key": "owners"}):
        asked = {"query": ASKED, "limit": 2, "filter": {"must": [{"key": "owners", "match": {"value": "x"}}]}}
        assert [one["id"] for one in _result(ask, "points/query", asked)["points"]] == [0, 1]
