"""The mock Chroma as its clients meet it: over HTTP, with tokens, as an older version, over a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.chroma_conversation import COLLECTIONS, STEPS, hold
from tests.integration.record_chroma import asking
from tests.integration.services import ServiceProcess
from tests.integration.vector_rig import Rig

THREE = {"ids": ["a", "b", "c"], "embeddings": [[1, 0], [0, 1], [0.6, 0.8]], "documents": ["alpha", "beta", "gamma"]}


def test_the_conversation_is_the_same_over_http() -> None:
    """The answers themselves are compared in the unit tests; this is about statuses, types and that every one arrives."""
    recorded = json.loads((Path(__file__).parent / "recorded" / "chroma-1.5.9.json").read_text())
    with Rig("chroma") as rig, httpx.Client(base_url=rig.url) as client:
        answers = hold(asking(client))
    assert {name: (one["status"], one["type"]) for name, one in answers.items()} == {
        name: (one["status"], one["type"]) for name, one in recorded.items()
    }
    assert len(answers) == len(STEPS)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with Rig("chroma") as rig, httpx.Client(base_url=rig.url) as client:
        yield client


def test_a_wrong_method_is_told_the_right_ones(http: httpx.Client) -> None:
    answer = http.post("/api/v2/heartbeat")
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "GET,HEAD")
    assert http.head("/api/v2/heartbeat").status_code == 200


def test_every_answer_has_the_header_that_clients_quote_in_their_errors(http: httpx.Client) -> None:
    answers = [http.get("/api/v2/heartbeat"), http.get("/api/v2/nope"), http.get("/api/v2/tenants/nope")]
    assert [one.headers["chroma-trace-id"] for one in answers] == ["0" * 32] * 3


def test_another_content_type_is_refused_and_none_is_not(http: httpx.Client) -> None:
    body = b'{"name": "acme"}'
    refused = http.post("/api/v2/tenants", content=body, headers={"content-type": "text/plain"})
    assert (refused.status_code, refused.json()["message"]) == (415, "Expected request with `Content-Type: application/json`")
    assert http.post("/api/v2/tenants", content=body).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-chroma-token": "wrong"}, 401),
        ({"authorization": "Basic cGFzcw=="}, 401),
        ({"x-chroma-token": "right"}, 200),
        ({"authorization": "Bearer right"}, 200),
    ],
)
def test_a_token_is_asked_for_where_one_is_set(headers: dict[str, str], status: int) -> None:
    with Rig("chroma", {"api_keys": ["right"]}) as rig, httpx.Client(base_url=rig.url, headers=headers) as client:
        answer = client.get(COLLECTIONS)
        assert answer.status_code == status
        if status == 401:
            assert answer.json() == {"error": "ChromaError", "message": "Permission denied."}
        assert client.get("/api/v2/heartbeat").status_code == 200  # as load balancers ask, without one


def test_reset_forgets_everything_where_it_is_allowed() -> None:
    with Rig("chroma", {"allow_reset": True}) as rig, httpx.Client(base_url=rig.url) as client:
        client.post("/api/v2/tenants", json={"name": "acme"})
        client.post(COLLECTIONS, json={"name": "docs"})
        answer = client.post("/api/v2/reset")
        assert (answer.status_code, answer.json()) == (200, True)
        assert client.get(COLLECTIONS).json() == []
        assert client.get("/api/v2/tenants/acme").status_code == 404
        assert client.get("/api/v2/tenants/default_tenant").status_code == 200


def test_as_a_server_of_0_6_it_describes_collections_as_those_did() -> None:
    with Rig("chroma", {"version": "0.6.3"}) as rig, httpx.Client(base_url=rig.url) as client:
        made = client.post(COLLECTIONS, json={"name": "docs", "metadata": {"hnsw:space": "ip"}}).json()
        assert client.get("/api/v2/version").json() == "0.6.3"
        assert client.get("/api/v2/pre-flight-checks").json() == {"max_batch_size": 5461, "supports_base64_encoding": False}
    assert made.pop("id")
    assert made == {
        "name": "docs",
        "configuration_json": {
            "hnsw_configuration": {
                "space": "ip",
                "ef_construction": 100,
                "ef_search": 100,
                "num_threads": 2,
                "M": 16,
                "resize_factor": 1.2,
                "batch_size": 100,
                "sync_threshold": 1000,
                "_type": "HNSWConfigurationInternal",
            },
            "_type": "CollectionConfigurationInternal",
        },
        "metadata": {"hnsw:space": "ip"},
        "dimension": None,
        "tenant": "default_tenant",
        "database": "default_database",
        "log_position": 0,
        "version": 0,
    }


def test_a_full_store_refuses_more() -> None:
    with Rig("chroma", {"limits": {"points": 2}}) as rig, httpx.Client(base_url=rig.url) as client:
        made = client.post(COLLECTIONS, json={"name": "docs"}).json()["id"]
        answer = client.post(f"{COLLECTIONS}/{made}/add", json=THREE)
    assert (answer.status_code, answer.json()["message"]) == (400, "Out of memory: this mock holds at most 2 points")


def test_an_infinite_distance_is_null_as_the_real_server_says_it(http: httpx.Client) -> None:
    made = http.post(COLLECTIONS, json={"name": "docs"}).json()["id"]
    http.post(f"{COLLECTIONS}/{made}/add", json=THREE)
    answer = http.post(f"{COLLECTIONS}/{made}/query", json={"query_embeddings": [[1e39, 1]], "include": ["distances"]})
    assert answer.json()["distances"] == [[None, None, None]]


def test_a_recreated_collection_gets_another_id_in_its_own_tenant_only() -> None:
    with Rig("chroma") as rig, httpx.Client(base_url=rig.url) as client:
        client.post("/api/v2/tenants", json={"name": "acme"})
        client.post("/api/v2/tenants/acme/databases", json={"name": "default_database"})
        mine, theirs = COLLECTIONS, COLLECTIONS.replace("default_tenant", "acme")
        ids = [client.post(path, json={"name": "docs"}).json()["id"] for path in (mine, theirs)]
        with rig.fault({"type": "collection_recreated"}) as fault:
            assert client.get(f"{mine}/{ids[0]}/count").status_code == 404
            assert client.get(f"{theirs}/docs").json()["id"] == ids[1]
            again = client.get(f"{mine}/docs").json()["id"]
            assert (again == ids[0], client.get(f"{mine}/{again}/count").json(), fault.applied) == (False, 0, 1)


@pytest.mark.e2e
@pytest.mark.beside
def test_a_process_keeps_what_it_held_when_it_is_killed(tmp_path: Path) -> None:
    profile = {"VECTOR_PROFILE": json.dumps({"persist_dir": str(tmp_path / "kept")}), "LOG_LEVEL": "warning"}
    process = ServiceProcess("vector", profile, tmp_path / "vector.log", ("mocks.vector", "chroma"))
    try:
        process.start()
        process.http.post("/api/v2/tenants/default_tenant/databases", json={"name": "own"})
        path = COLLECTIONS.replace("default_database", "own")
        made = process.http.post(path, json={"name": "docs", "configuration": {"hnsw": {"space": "cosine"}}}).json()
        here = f"{path}/{made['id']}"
        process.http.post(f"{here}/add", json={**THREE, "metadatas": [{"n": 1}, None, {"n": 3}], "uris": ["u", None, None]})
        before = _everything(process.http, path, here)
        process.kill()
        process.start()
        assert _everything(process.http, path, here) == before
        assert before["count"] == 3
        assert process.stop() == 0
    finally:
        process.close()


def _everything(client: httpx.Client, path: str, here: str) -> dict[str, Any]:
    columns = {"include": ["embeddings", "documents", "metadatas", "uris"]}
    return {
        "collections": client.get(path).json(),
        "databases": client.get("/api/v2/tenants/default_tenant/databases").json(),
        "count": client.get(f"{here}/count").json(),
        "records": client.post(f"{here}/get", json=columns).json(),
        "found": client.post(f"{here}/query", json={"query_embeddings": [[1, 0.1]], "n_results": 2}).json(),
    }
