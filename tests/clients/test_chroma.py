"""chromadb's HTTP clients against the mock: every call that RAG code makes, and how errors surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import call, python_of
from tests.clients.vectors import Vectors
from tests.integration.vector_stores import VectorProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

EXPECTED: dict[str, Any] = {
    "heartbeat": True,
    "version": True,
    "create": "docs",
    "get_or_create": True,
    "list": ["docs"],
    "collections": 1,
    "add": None,
    "count": 3,
    "query": [[["a", "c"]], [[0.0, 0.006]], [["one", "three"]]],
    "query_where": [["b"]],
    "query_operators": [["c"]],
    "query_document": [["b"]],
    "query_many": [["a"], ["b"], ["c"]],
    "query_include": ["ids", "included", "metadatas"],
    "get": [["a"], [{"year": 2021, "tag": "x"}]],
    "get_embeddings": [[0.0, 1.0, 0.0]],
    "get_limit": ["b"],
    "peek": 2,
    "update": None,
    "updated": [{"year": 1999, "tag": "x"}],
    "upsert": None,
    "upserted": [4, [["a"]]],
    "delete": True,
    "delete_where": True,
    "left": 2,
    "modify": None,
    "renamed": True,
    "delete_collection": None,
    "async": {"query": [["b"]], "count": 2, "left": 1},
}


def test_every_call_of_a_client_1_x(chroma: VectorProcess) -> None:
    found = call("current", "chroma", {"host": "127.0.0.1", "port": chroma.port})
    errors = {name: found.pop(name) for name in ("create_twice", "dimension_error", "missing_collection", "stale_handle")}
    assert found == EXPECTED
    assert {name: (one["raised"], one["module"]) for name, one in errors.items()} == {
        "create_twice": ("ChromaError", "chromadb.errors"),
        "dimension_error": ("InvalidArgumentError", "chromadb.errors"),
        "missing_collection": ("NotFoundError", "chromadb.errors"),
        "stale_handle": ("NotFoundError", "chromadb.errors"),  # a handle holds the id, and the collection is gone
    }
    assert errors["create_twice"]["text"] == "Collection [docs] already exists"
    assert errors["dimension_error"]["text"] == "Collection expecting embedding with dimension of 3, got 2"
    assert errors["missing_collection"]["text"] == "Collection [nope] does not exist"


def test_every_call_of_a_client_0_6(tmp_path: Path) -> None:
    python_of("previous")
    service = Vectors("chroma", tmp_path, {"version": "0.6.3"})
    try:
        found = call("previous", "chroma", service.asked)
    finally:
        service.close()
    errors = {name: found.pop(name) for name in ("create_twice", "dimension_error", "missing_collection", "stale_handle")}
    assert found == EXPECTED
    assert {name: (one["raised"], one["module"]) for name, one in errors.items()} == {
        "create_twice": ("Exception", "builtins"),  # it knows no error called ChromaError
        "dimension_error": ("InvalidArgumentError", "chromadb.errors"),
        "missing_collection": ("NotFoundError", "chromadb.errors"),
        "stale_handle": ("NotFoundError", "chromadb.errors"),
    }
    assert "Collection [docs] already exists" in errors["create_twice"]["text"]
