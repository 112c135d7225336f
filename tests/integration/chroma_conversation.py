"""A conversation with a Chroma server, request by request: recorded from the real one, held with the mock.

Answers are compared in a normal form: ids in the order in which they appear, no clock, no position in a body, no number of processors.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.integration import chroma_bodies as bodies

Answer = dict[str, Any]
"""`status`, `type` (the content type without parameters, None where there is none) and `body` (JSON value, or text)."""
Ask = Callable[[str, str, bytes | None, dict[str, str]], Answer]
"""Sends method, path, body and headers."""

BASE = "/api/v2"
TENANT = f"{BASE}/tenants/default_tenant"
DATABASE = f"{TENANT}/databases/default_database"
COLLECTIONS = f"{DATABASE}/collections"
NOWHERE = f"{COLLECTIONS}/00000000-0000-0000-0000-000000000001"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLACE = re.compile(r" at line \d+ column \d+")


@dataclass(frozen=True)
class Step:
    """One request. `{name}` in its path is the id of the collection created by the step of that name."""

    name: str
    method: str
    path: str
    json: Any = None
    raw: str | None = None
    """A body that is no JSON."""
    only_kind: bool = False
    """Whether the message's words are the parser's own: then only what comes before the last colon is compared."""


def hold(ask: Ask) -> dict[str, Answer]:
    """Hold the conversation; the answers in normal form, by step."""
    ids: dict[str, str] = {}
    normal = _Normal()
    answers: dict[str, Answer] = {}
    for step in STEPS:
        body = None if step.json is None and step.raw is None else (step.raw or json.dumps(step.json)).encode()
        if step.raw == "":
            body = b""
        headers = {} if body is None else {"content-type": "application/json"}
        answer = ask(step.method, step.path.format(**ids), body, headers)
        if step.method == "POST" and step.path.endswith("/collections") and answer["status"] == 200:
            ids[step.name] = answer["body"]["id"]
        answers[step.name] = normal.form(answer, step)
    return answers


class _Normal:
    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def form(self, answer: Answer, step: Step) -> Answer:
        body = self._value(answer["body"])
        if step.only_kind:
            body["message"] = body["message"].split(": ")[0]
        return {**answer, "body": body}

    def _value(self, value: Any, key: str = "") -> Any:
        if key == "keys":  # of a schema: the mock does not learn the keys of records' metadata
            value = {one: inside for one, inside in value.items() if one.startswith("#")}
        if isinstance(value, dict):
            return {one: self._value(inside, one) for one, inside in sorted(value.items())}
        if isinstance(value, list):
            return [self._value(inside) for inside in value]
        if key in ("nanosecond heartbeat", "num_threads"):
            return f"<{type(value).__name__}>"
        if isinstance(value, str):
            return _PLACE.sub("", _UUID.sub(lambda found: self._ids.setdefault(found.group(), f"<id {len(self._ids) + 1}>"), value))
        return value


def _steps(group: str, method: str, path: str, bodies: list[Any]) -> Iterator[Step]:
    for number, body in enumerate(bodies, 1):
        yield Step(f"{group} {number}", method, path, body)


def _paths(group: str, method: str, paths: list[str]) -> Iterator[Step]:
    for number, path in enumerate(paths, 1):
        yield Step(f"{group} {number}", method, path)


def _server() -> Iterator[Step]:
    yield from _paths("unknown path", "GET", ["/", f"{BASE}/", f"{BASE}/nope", f"{BASE}/heartbeat/", "/api/v1"])
    yield from _paths("probe", "GET", [BASE] + [f"{BASE}/{one}" for one in ("heartbeat", "version", "pre-flight-checks", "healthcheck")])
    yield Step("identity", "GET", f"{BASE}/auth/identity")
    yield Step("wrong method", "POST", f"{BASE}/heartbeat")
    yield Step("wrong method on tenants", "PUT", f"{BASE}/tenants")
    yield Step("v1", "GET", "/api/v1/heartbeat")
    yield Step("v1 post", "POST", "/api/v1/collections")
    yield Step("reset", "POST", f"{BASE}/reset")


def _tenants() -> Iterator[Step]:
    yield from _paths("tenant", "GET", [TENANT, f"{BASE}/tenants/nope"])
    yield from _steps("create tenant", "POST", f"{BASE}/tenants", [{"name": "acme"}, {"name": "acme"}, {}, {"name": 3}])
    yield Step("tenant name", "POST", f"{BASE}/tenants", {"name": "a"}, only_kind=True)
    yield Step("tenant body missing", "POST", f"{BASE}/tenants", raw="", only_kind=True)
    yield Step("tenant body cut", "POST", f"{BASE}/tenants", raw='{"name": ', only_kind=True)
    yield from _steps("change tenant", "PATCH", f"{BASE}/tenants/acme", [{"resource_name": "r"}, {}])
    yield from _paths("tenant with slash", "GET", [f"{BASE}/tenants/a%2Fb"])
    databases = f"{BASE}/tenants/acme/databases"
    names = ["one", "two", "one", "d", "x y z", "_abc", "127.0.0.1", "a..b"]
    yield from _steps("create database", "POST", databases, [{"name": name} for name in names] + [{}])
    yield from _paths(
        "databases", "GET", [databases, *(f"{databases}?{one}" for one in ("limit=1", "limit=1&offset=1", "limit=0", "limit=x"))]
    )
    yield from _paths("database", "GET", [DATABASE, f"{databases}/one", f"{databases}/nope", f"{BASE}/tenants/nope/databases"])
    yield Step("inner", "POST", f"{databases}/one/collections", {"name": "inner"})
    yield from _paths("inner seen", "GET", [f"{databases}/one/collections", f"{databases}/one/collections_count", f"{COLLECTIONS}/inner"])
    yield from _paths("inner elsewhere", "GET", [f"{COLLECTIONS}/by-id/{{inner}}", f"{COLLECTIONS}/{{inner}}/count"])
    yield from _paths("delete database", "DELETE", [f"{databases}/one", f"{databases}/one"])
    yield from _paths("inner gone", "GET", [f"{COLLECTIONS}/{{inner}}/count", f"{databases}/one/collections/inner"])
    yield from _paths("no such database", "GET", [f"{databases}/zzz/collections", f"{databases}/zzz/collections_count"])
    yield Step("create in no database", "POST", f"{databases}/zzz/collections", {"name": "ccc"})


def _collections() -> Iterator[Step]:
    yield Step("docs", "POST", COLLECTIONS, {"name": "docs", "metadata": {"a": 1, "b": "x", "c": 1.5, "d": True}, "get_or_create": False})
    yield from _steps("again", "POST", COLLECTIONS, [{"name": "docs"}, {"name": "docs", "get_or_create": True, "metadata": {"z": 2}}])
    names = ["a", "a" * 513, "a b c", "_aaa", "a..b", "127.0.0.1", "chroma:x", None]
    yield from _steps("name", "POST", COLLECTIONS, [{"name": name} for name in names] + [{}])
    metadatas: list[Any] = [{}, {"x": None}, {"x": {"y": 1}}, [], {"#x": 1}, {"": 1}, {"hnsw:space": "bad"}]
    yield from _steps("metadata", "POST", COLLECTIONS, [{"name": "other", "metadata": one} for one in metadatas])
    wrong: list[Any] = [{"hnsw": {"space": "bad"}}, {"hnsw": {"bogus": 1}}, {"hnsw": {"space": "l2"}, "spann": {"space": "l2"}}]
    yield from _steps("configuration", "POST", COLLECTIONS, [{"name": "other", "configuration": one} for one in wrong])
    yield Step("flag", "POST", COLLECTIONS, {"name": "other", "get_or_create": "yes"})
    known = {"type": "known", "name": "default", "config": {}}
    right: list[Any] = [
        {"configuration": {"hnsw": {"space": "ip", "ef_search": 7, "max_neighbors": 3, "resize_factor": 2.0, "ef_construction": 9}}},
        {"configuration": {"hnsw": {"space": "cosine"}, "embedding_function": known}},
        {"configuration": {"embedding_function": {"type": "legacy"}, "bogus": 1}},
        {"metadata": {"hnsw:space": "cosine", "hnsw:M": 8, "hnsw:construction_ef": 50, "hnsw:search_ef": 20}},
        {"metadata": {"hnsw:space": "ip"}, "configuration": {"hnsw": {"space": "l2"}}},
        {"configuration": {"spann": {"space": "cosine"}}},
    ]
    yield from _steps("configured", "POST", COLLECTIONS, [{"name": f"configured-{number}", **one} for number, one in enumerate(right, 1)])
    found = ["docs", "nope", "{docs}", "by-id/{docs}", "by-id/00000000-0000-0000-0000-000000000001", "by-id/xx"]
    yield from _paths("get collection", "GET", [f"{COLLECTIONS}/{one}" for one in found])
    yield from _paths("list", "GET", [f"{COLLECTIONS}?limit=0", f"{COLLECTIONS}?limit=zz", f"{DATABASE}/collections_count"])
    yield from _changes()
    unsupported = ["fork_count", "indexing_status"]
    yield from _paths("unsupported", "GET", [f"{COLLECTIONS}/{{docs}}/{one}" for one in unsupported])
    yield Step("fork", "POST", f"{COLLECTIONS}/{{docs}}/fork", {"new_name": "forked"})
    yield Step("search", "POST", f"{COLLECTIONS}/{{docs}}/search", {"searches": []})
    attached = {"name": "x", "function_id": "y", "output_collection": "zzz"}
    yield Step("attach", "POST", f"{COLLECTIONS}/{{docs}}/functions/attach", attached)
    yield from _paths("delete collection", "DELETE", [f"{COLLECTIONS}/{one}" for one in ("{docs}", "renamed", "renamed", "nope")])
    yield from _paths("deleted", "GET", [f"{COLLECTIONS}/{{docs}}/count", f"{COLLECTIONS}/renamed"])


def _changes() -> Iterator[Step]:
    changes: list[Any] = [
        {"new_name": "renamed"},
        {"new_metadata": {"q": 1}},
        {"new_metadata": {"q": 3, "c": None}},
        {},
        {"new_metadata": {}},
        {"new_name": "x"},
        {"new_name": 3},
        {"new_name": "configured-1"},
        {"new_configuration": {"hnsw": {"ef_search": 77}}},
        {"new_configuration": {"hnsw": {"space": "l2"}}},
    ]
    yield from _steps("change", "PUT", f"{COLLECTIONS}/{{docs}}", changes)
    yield from _paths("changed", "GET", [f"{COLLECTIONS}/docs", f"{COLLECTIONS}/renamed"])
    yield Step("change nothing", "PUT", NOWHERE, {"new_name": "xxxy"})
    yield Step("change no id", "PUT", f"{COLLECTIONS}/notuuid", {"new_name": "xxxy"})


def _records() -> Iterator[Step]:
    yield Step("rec", "POST", COLLECTIONS, {"name": "rec"})
    here = f"{COLLECTIONS}/{{rec}}"
    yield Step("empty get", "POST", f"{here}/get", {})
    yield Step("empty query", "POST", f"{here}/query", {"query_embeddings": [[1, 2, 3]]})
    yield Step("empty delete", "POST", f"{here}/delete", {"ids": ["x"]})
    yield from _steps("add", "POST", f"{here}/add", bodies.ADDED)
    yield Step("add nan", "POST", f"{here}/add", raw='{"ids":["n"],"embeddings":[[NaN,1,1]]}', only_kind=True)
    yield Step("add huge", "POST", f"{here}/add", raw='{"ids":["n"],"embeddings":[[1e39,1,1]]}')
    yield Step("added", "POST", f"{here}/get", {"include": ["embeddings", "documents", "metadatas", "uris"]})
    yield Step("dimension", "GET", f"{COLLECTIONS}/rec")
    yield from _paths("count", "GET", [f"{here}/count{one}" for one in ("", "?read_level=index_and_wal", "?read_level=bad")])
    yield from _steps("upsert", "POST", f"{here}/upsert", bodies.UPSERTED)
    yield from _steps("update", "POST", f"{here}/update", bodies.UPDATED)
    yield Step("updated", "POST", f"{here}/get", {"include": ["embeddings", "documents", "metadatas", "uris"]})
    yield from _steps("get", "POST", f"{here}/get", bodies.GOT)
    yield Step("get again", "POST", f"{here}/delete", {"ids": ["a"]})
    yield Step("put back", "POST", f"{here}/add", {"ids": ["a"], "embeddings": [[1, 2, 3]]})
    yield Step("order", "POST", f"{here}/get", {"include": []})
    for verb, body in (("get", {}), ("add", bodies.ONE), ("upsert", bodies.ONE), ("update", {"ids": ["a"]}), ("delete", {"ids": ["a"]})):
        yield Step(f"{verb} nowhere", "POST", f"{NOWHERE}/{verb}", body)
    yield Step("query nowhere", "POST", f"{NOWHERE}/query", {"query_embeddings": [[1, 2]]})
    yield Step("fork nowhere", "POST", f"{NOWHERE}/fork", {"new_name": "abc"})
    yield from _paths("read nowhere", "GET", [f"{NOWHERE}/{one}" for one in ("count", "indexing_status", "fork_count")])
    yield Step("filter nowhere", "POST", f"{NOWHERE}/get", {"where": {}})
    yield Step("bad id", "GET", f"{COLLECTIONS}/bad-uuid/count")
    yield Step("bad id and body", "POST", f"{COLLECTIONS}/bad-uuid/get", {"limit": -1})
    yield Step("another database", "POST", f"{BASE}/tenants/zz/databases/zzz/collections/{{rec}}/get", {"limit": 1})
    yield Step("get by GET", "GET", f"{here}/get")


def _queries() -> Iterator[Step]:
    for space in ("l2", "cosine", "ip"):
        yield Step(space, "POST", COLLECTIONS, {"name": f"in-{space}", "configuration": {"hnsw": {"space": space}}})
        here = f"{COLLECTIONS}/{{{space}}}"
        yield Step(f"fill {space}", "POST", f"{here}/add", bodies.FILLING)
        yield Step(f"query {space}", "POST", f"{here}/query", {"query_embeddings": [[1, 0.4, 0.1]], "n_results": 3})
    zero = {"query_embeddings": [[0, 0, 0]], "ids": ["a"], "include": ["distances"]}
    yield Step("query zero", "POST", f"{COLLECTIONS}/{{cosine}}/query", zero)
    here = f"{COLLECTIONS}/{{l2}}"
    yield from _steps("query", "POST", f"{here}/query", bodies.QUERIED)
    yield Step("query with parameters", "POST", f"{here}/query?limit=1&offset=1", {"query_embeddings": [[1, 0, 0]]})
    yield from _steps("where", "POST", f"{here}/get", [{"where": one, "include": []} for one in bodies.WHERE])
    yield from _steps("where_document", "POST", f"{here}/get", [{"where_document": one, "include": []} for one in bodies.WHERE_DOCUMENT])
    both: list[Any] = [
        {"where": {"s": "x"}, "where_document": {"$contains": "alpha"}, "include": []},
        {"where": {"s": "x"}, "where_document": {"$contains": "gamma"}, "include": []},
        {"where": {}, "where_document": {"$contains": "a"}, "include": []},
        {"ids": ["a", "b"], "where": {"s": "y"}, "include": []},
    ]
    yield from _steps("both", "POST", f"{here}/get", both)
    yield from _steps("delete", "POST", f"{here}/delete", bodies.DELETED)
    yield Step("left", "POST", f"{here}/get", {"include": []})


STEPS = [*_server(), *_tenants(), *_collections(), *_records(), *_queries()]
