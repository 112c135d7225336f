"""What Qdrant refuses, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mocks.vector.qdrant.service import QdrantSettings
from mocks.vector.store import Limits
from tests.unit.mocks_vector.qdrant_ask import DOCS, Qdrant, with_five_points

SIZE_2 = {"size": 2, "distance": "Dot"}
FORMAT = "Format error in JSON body: "
UNTAGGED = FORMAT + "data did not match any variant of untagged enum "
RANGE = "Validation error in JSON body: "
WRONG = "Wrong input: "
SPARSE = {"indices": [1], "values": [1]}

POINTS = f"{DOCS}/points"
NEW = "/collections/new"
QUERY = f"{POINTS}/query"


def one(vector: Any, **more: Any) -> dict[str, Any]:
    return {"points": [{"id": 1, "vector": vector, **more}]}


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/collections/none/points/query", {"query": [1]}, 404, "Not found: Collection `none` doesn't exist!"),
    ("POST", QUERY, {"query": [1, 2, 3]}, 400, WRONG + "Vector dimension error: expected dim: 2, got 3"),
    ("POST", QUERY, {"query": 77}, 404, "Not found: No point with id 77 found"),
    ("POST", QUERY, {"query": [1, 1], "limit": 0}, 422, RANGE + "[limit: value 0 invalid, must be 1 or larger]"),
    ("POST", QUERY, {"query": {"fusion": "rrf"}}, 400, WRONG + "A query is needed to merge the prefetches"),
    ("POST", QUERY, {"query": {"discover": {}}}, 400, WRONG + "a query of kind discover is not supported by this mock"),
    ("POST", QUERY, {"query": {"what": 1}}, 400, UNTAGGED + "QueryInterface at line 1 column 22"),
    ("POST", QUERY, {"query": [1, 1], "with_payload": {"x": 1}}, 400, UNTAGGED + "WithPayloadInterface"),
    ("POST", QUERY, {"prefetch": {"query": [1, 1]}}, 400, WRONG + "A query is needed to merge the prefetches"),
    ("PUT", POINTS, one([1]), 400, WRONG + "Vector dimension error: expected dim: 2, got 1"),
    ("PUT", POINTS, one([1e39, 1]), 400, WRONG + "Vector contains NaN or infinite values"),
    ("PUT", POINTS, one("x"), 400, UNTAGGED + "VectorStruct"),
    ("PUT", POINTS, one([None, 1]), 400, UNTAGGED + "VectorStruct"),
    ("PUT", POINTS, one([10**400, 1]), 400, FORMAT),
    ("PUT", POINTS, one([1, 1], payload=[]), 400, FORMAT + "invalid type: sequence, expected a map"),
    ("PUT", POINTS, one({"": SPARSE}), 400, WRONG + "a sparse vector is not supported by this mock"),
    ("PUT", POINTS, one([[1, 1]]), 400, WRONG + "a multivector is not supported by this mock"),
    ("PUT", POINTS, {"points": [{"id": "a", "vector": [1, 1]}]}, 400, FORMAT + "value a is not a valid point ID, valid values are"),
    ("PUT", POINTS, {}, 400, UNTAGGED + "PointInsertOperations"),
    ("PUT", POINTS, {"batch": {"ids": [1], "vectors": []}}, 400, WRONG + "Number of ids and vectors must be equal (1 != 0)"),
    ("POST", POINTS, {}, 400, FORMAT + "missing field `ids` at line 1 column 2"),
    ("POST", f"{POINTS}/scroll", {"limit": -1}, 400, FORMAT + "invalid value: integer `-1`, expected usize"),
    ("POST", f"{POINTS}/delete", {}, 400, UNTAGGED + "PointsSelector"),
    ("POST", f"{POINTS}/payload", {"payload": {}}, 422, RANGE + "[__all__: Either list of point ids or filter must be provided]"),
    ("POST", f"{POINTS}/batch", {"operations": [{"what": {}}]}, 400, UNTAGGED + "UpdateOperation"),
    ("POST", f"{DOCS}/facet", {"key": "n"}, 400, WRONG + "No appropriate index for faceting: `n`"),
    ("PUT", NEW, {"vectors": {"size": 0, "distance": "Dot"}}, 422, RANGE + "[vectors.size: value 0 invalid, must be from 1 to 65536]"),
    ("PUT", NEW, {"vectors": {"size": 2, "distance": "Dots"}}, 400, FORMAT + "unknown variant `Dots`, expected one of `Cosine`"),
    ("PUT", NEW, {"vectors": "x"}, 400, UNTAGGED + "VectorsConfig"),
    ("PUT", NEW, {"vectors": SIZE_2, "sparse_vectors": {"s": {}}}, 400, WRONG + "a sparse vector is not supported by this mock"),
    ("PUT", "/collections/a%2Fb", {"vectors": SIZE_2}, 422, RANGE + '[name: value "a/b" invalid'),
]


@pytest.fixture
def qdrant() -> Qdrant:
    return with_five_points()


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_in_qdrants_words(
    qdrant: Qdrant, method: str, path: str, body: Any, status: int, message: str
) -> None:
    before = qdrant.good("POST", f"{POINTS}/scroll", {"with_vector": True})
    found, text = qdrant.refused(method, path, body)
    assert (found, text[: len(message)]) == (status, message)
    assert qdrant.good("POST", f"{POINTS}/scroll", {"with_vector": True}) == before


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"{", "expected value at line 1 column"),
        (b'{\n"ids": [1,]}', "expected value at line 2 column"),
        (b"[1]", "invalid type: sequence, expected a map at line 1 column 3"),
        (b'{"ids": [NaN]}', "expected value at line 1 column"),
        (b'{"ids": ["\\ud800"]}', "expected value at line 1 column"),
        (b'{"ids": ' + b"[" * 200 + b"]" * 200 + b"}", "recursion limit exceeded at line 1 column"),
        (b'{"ids": ' + b"[" * 5_000, "expected value at line 1 column"),
    ],
)
def test_malformed_json(qdrant: Qdrant, raw: bytes, message: str) -> None:
    answer = qdrant.whole("POST", f"{DOCS}/points", raw)
    found = json.loads(answer.body)["status"]["error"]
    assert (answer.status, found[: len(FORMAT + message)]) == (400, FORMAT + message)


def test_another_content_type_is_refused(qdrant: Qdrant) -> None:
    for headers in ({}, {b"content-type": b"text/plain"}):
        answer = qdrant.whole("POST", f"{DOCS}/points", b'{"ids": [1]}', headers)
        assert (answer.status, json.loads(answer.body)["status"]["error"]) == (400, "Content type error")
    assert qdrant.whole("POST", f"{DOCS}/points", b'{"ids": [1]}', {b"content-type": b"application/json; charset=utf-8"}).status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/collections"), ("GET", f"{DOCS}/points/query")])
def test_what_no_route_serves_gets_an_empty_404(qdrant: Qdrant, method: str, path: str) -> None:
    answer = qdrant.whole(method, path)
    status = 400 if path.endswith("query") and method == "GET" else 404  # a point's id may be anything, and this is none
    assert answer.status == status
    assert status == 400 or answer.body == b""


def test_keys_are_asked_for_where_there_are_any() -> None:
    qdrant = Qdrant(QdrantSettings(api_keys=("secret",), read_only_api_keys=("looker",)))

    def ask(method: str, path: str, **headers: str) -> tuple[int, str]:
        sent = {
            b"content-type": b"application/json",
            **{name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
        }
        answer = qdrant.whole(method, path, b'{"vectors": {"size": 2, "distance": "Dot"}}', sent)
        return answer.status, answer.body.decode()

    assert ask("GET", "/collections") == (401, "Must provide an API key or an Authorization bearer token")
    assert ask("GET", "/collections", api_key="wrong") == (401, "Invalid API key or JWT")
    assert ask("GET", "/collections", api_key="looker")[0] == 200
    assert ask("PUT", DOCS, authorization="Bearer looker")[0] == 403
    assert ask("PUT", DOCS, authorization="Bearer secret")[0] == 200
    for path in ("/", "/healthz", "/livez", "/readyz"):
        assert ask("GET", path)[0] == 200


def test_a_full_service_says_so() -> None:
    qdrant = Qdrant(limits=Limits(points=2))
    qdrant.good("PUT", DOCS, {"vectors": SIZE_2})
    body = {"points": [{"id": n, "vector": [1, 1]} for n in range(3)]}
    assert qdrant.refused("PUT", f"{DOCS}/points", body) == (400, "Wrong input: Out of memory: this mock holds at most 2 points")
