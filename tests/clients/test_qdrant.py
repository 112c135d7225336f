"""qdrant-client against the mock: every call that RAG code makes, and how errors surface."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.environments import call
from tests.integration.vector_stores import VectorProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
EXPECTED: dict[str, Any] = {
    "warnings": [],  # the client warns where it takes the server for too old or too new
    "create": True,
    "exists": [True, False],
    "collections": ["docs"],
    "upsert": "completed",
    "upsert_uuid": "completed",
    "info": [4, 4, "green"],
    "query": [[1, 1.0, "one"], [3, 0.9939, "three"]],
    "query_filter": [2],
    "query_range": [3, 2],
    "query_id": [3, 2, UUID],
    "query_threshold": [1, 3],
    "query_vectors": 4,
    "query_no_payload": None,
    "query_batch": [[1], [2]],
    "query_groups": {"a": [1, 3], "b": [2]},
    "retrieve": ["2", UUID],
    "scroll": [[1, 3], None],
    "scroll_pages": ["3", 2],
    "count": [4, 2],
    "index": "completed",
    "set_payload": "completed",
    "payload_now": {"text": "one", "year": 2021, "tag": "a", "new": 1},
    "overwrite_payload": "completed",
    "delete_payload": "completed",
    "update_vectors": "completed",
    "vector_now": [0.0, 0.0, 0.0, 1.0],
    "delete_ids": "completed",
    "delete_filter": "completed",
    "left": 1,
    "upload": None,
    "left_after_upload": 201,
    "alias": True,
    "query_alias": 3,
    "named_create": True,
    "named_upsert": "completed",
    "named_query": [[2, 2.0], [1, 0.0]],
    "fusion": [1, 2],
    "delete_collection": [True, False],
    "async": {"upsert": "completed", "query": [2], "count": 2, "scroll": [1, 2], "left": 1},
}
ERRORS = {
    "create_twice": ("409 (Conflict)", "Wrong input: Collection `docs` already exists!"),
    "dimension_error": ("400 (Bad Request)", "Wrong input: Vector dimension error: expected dim: 4, got 3"),
    "missing_collection": ("404 (Not Found)", "Not found: Collection `nope` doesn"),
}


@pytest.mark.parametrize("environment", ["current", "previous"])
def test_every_call_of_a_client_1_x(environment: str, qdrant: VectorProcess) -> None:
    found = call(environment, "qdrant", {"url": qdrant.url})
    errors = {name: found.pop(name) for name in ERRORS}
    assert found == EXPECTED
    for name, (status, message) in ERRORS.items():
        assert errors[name]["raised"] == "UnexpectedResponse"
        assert status in errors[name]["text"] and message in errors[name]["text"]


def test_every_call_of_the_last_client_0_x(qdrant: VectorProcess) -> None:
    found = call("qdrant-0", "qdrant_0", {"host": "127.0.0.1", "port": qdrant.port})
    assert found == {
        "recreate": None,
        "upsert": "completed",
        "search": [[1, 1.0, "one"], [3, 0.9939, "three"]],
        "search_filter": [2],
        "search_batch": [[1], [2]],
        "retrieve": [2],
        "scroll": [[1, 3], None],
        "count": 3,
        "recommend": [3],
        "set_payload": "ok",  # this client hands out the envelope
        "payload_now": {"text": "one", "tag": "a", "new": 1},
        "delete": "ok",
        "left": 2,
        "collections": ["docs"],
        "delete_collection": True,
    }
