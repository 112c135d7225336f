"""A mock vector service on an event loop in a thread, its faults within reach, and one way of asking either product."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import orjson

from mocks.common.journal import Journal
from mocks.faults.door import Door
from mocks.faults.table import FaultTable
from mocks.http.message import Reply, Request
from mocks.vector.faults import FAULTS
from mocks.vector.flow import Flow
from mocks.vector.ledger import Ledger
from mocks.vector.metrics import VectorMetrics
from mocks.vector.plan import Product, VectorPlan
from mocks.vector.profile import LiveProfile
from mocks.vector.server import service_of
from mocks.vector.store import Store
from tests.integration.http_service import Client, Served

CLIENT_TIMEOUT_S = 30.0


class Rig:
    """`with Rig("chroma") as rig:` serves on `rig.url`."""

    def __init__(self, product: Product, profile: Mapping[str, Any] | None = None) -> None:
        self._profile = LiveProfile(profile or {}, Path.cwd())
        self.product: Product = product
        self._store = Store(self._profile.now.limits)
        self.ledger = Ledger(VectorMetrics(self._store, "vector", "1.0.0"), Journal(), "vector", "vector-1", log_requests=False)
        self._faults: FaultTable[VectorPlan] = FaultTable(FAULTS, time.monotonic, self._profile.now.seed)
        self._served = Served(self._handle, "asyncio")
        self._flow = self._served.call(self._connected)

    def _connected(self) -> Flow:
        loop = asyncio.get_running_loop()
        Door(self._faults, loop.call_at, self._served.server.refuse, self._served.server.accept)
        service = service_of(self.product, self._store, self._profile.now)
        return Flow(service, self._profile, self._faults, self.ledger, loop.call_later)

    def _handle(self, request: Request, reply: Reply) -> None:
        self._flow.handle(request, reply)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._served.port}"

    @contextmanager
    def fault(self, document: Mapping[str, Any], id: str = "test") -> Iterator[FaultView]:
        """The fault in force."""
        self._served.call(lambda: self._faults.put(id, document))
        try:
            yield FaultView(self, id)
        finally:
            self._served.call(lambda: self._faults.remove(id))

    def view(self, id: str) -> dict[str, Any]:
        """A fault as the admin API shows it."""
        return next(view for view in self._served.call(self._faults.views) if view["id"] == id)

    def last_row(self) -> dict[str, Any]:
        """The journal's latest row."""
        return dict(orjson.loads(self._served.call(lambda: self.ledger.journal.latest(1)).rows[0]))

    def connected(self) -> Client:
        """A bare connection to it."""
        return self._served.client()

    def asking(self) -> Ask:
        """A client of its product."""
        return QdrantAsk(self.url) if self.product == "qdrant" else ChromaAsk(self.url)

    def __enter__(self) -> Self:
        self._served.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._served.__exit__(*exc)


@dataclass(frozen=True)
class FaultView:
    """What a fault in force has done."""

    rig: Rig
    id: str

    @property
    def applied(self) -> int:
        return int(self.rig.view(self.id)["applied"])


@dataclass(frozen=True)
class Found:
    """One result, in the words of neither product. `score` is Qdrant's similarity or Chroma's distance; None in what was read."""

    id: int
    score: float | None
    text: str | None
    tenant: str | None


@dataclass(frozen=True)
class Doc:
    """A point to be written."""

    id: int
    vector: list[float]
    text: str
    tenant: str = "a"


class Ask(Protocol):
    """One product, asked over plain HTTP. Answers that are no success raise httpx.HTTPStatusError."""

    http: httpx.Client
    collections: str

    def create(self) -> None: ...
    def write(self, docs: list[Doc]) -> None: ...
    def search(self, vector: list[float], k: int, tenant: str | None = None) -> list[Found]: ...
    def read(self, ids: list[int]) -> list[Found]: ...
    def forget(self, id: int) -> None: ...
    def count(self) -> int: ...
    def search_response(self, vector: list[float], k: int) -> httpx.Response: ...
    def close(self) -> None: ...


class QdrantAsk:
    """Qdrant."""

    collections = "/collections"

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=CLIENT_TIMEOUT_S)

    def create(self) -> None:
        if not self.http.get("/collections/docs/exists").raise_for_status().json()["result"]["exists"]:
            self._do("PUT", "/collections/docs", {"vectors": {"size": 3, "distance": "Cosine"}})

    def write(self, docs: list[Doc]) -> None:
        points = [{"id": doc.id, "vector": doc.vector, "payload": {"text": doc.text, "tenant": doc.tenant}} for doc in docs]
        self._do("PUT", "/collections/docs/points?wait=true", {"points": points})

    def search(self, vector: list[float], k: int, tenant: str | None = None) -> list[Found]:
        body: dict[str, Any] = {"query": vector, "limit": k, "with_payload": True}
        if tenant is not None:
            body["filter"] = {"must": [{"key": "tenant", "match": {"value": tenant}}]}
        return [self._found(one) for one in self._do("POST", "/collections/docs/points/query", body)["result"]["points"]]

    def read(self, ids: list[int]) -> list[Found]:
        return [self._found(one) for one in self._do("POST", "/collections/docs/points", {"ids": ids})["result"]]

    def forget(self, id: int) -> None:
        self._do("POST", "/collections/docs/points/delete?wait=true", {"points": [id]})

    def count(self) -> int:
        return int(self._do("POST", "/collections/docs/points/count", {"exact": True})["result"]["count"])

    def search_response(self, vector: list[float], k: int) -> httpx.Response:
        return self.http.post("/collections/docs/points/query", json={"query": vector, "limit": k, "with_payload": True})

    def close(self) -> None:
        self.http.close()

    @staticmethod
    def _found(one: dict[str, Any]) -> Found:
        payload = one["payload"] or {}
        return Found(one["id"], one.get("score"), payload.get("text"), payload.get("tenant"))

    def _do(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return self.http.request(method, path, json=body).raise_for_status().json()


class ChromaAsk:
    """Chroma."""

    collections = "/api/v2/tenants/default_tenant/databases/default_database/collections"

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=CLIENT_TIMEOUT_S)
        self._id = ""

    def create(self) -> None:
        body = {"name": "docs", "configuration": {"hnsw": {"space": "cosine"}}, "get_or_create": True}
        self._id = self.http.post(self.collections, json=body).raise_for_status().json()["id"]

    def write(self, docs: list[Doc]) -> None:
        columns = {
            "ids": [str(doc.id) for doc in docs],
            "embeddings": [doc.vector for doc in docs],
            "documents": [doc.text for doc in docs],
            "metadatas": [{"tenant": doc.tenant} for doc in docs],
        }
        self._do("upsert", columns)

    def search(self, vector: list[float], k: int, tenant: str | None = None) -> list[Found]:
        body: dict[str, Any] = {"query_embeddings": [vector], "n_results": k, "where": None if tenant is None else {"tenant": tenant}}
        answer = self._do("query", body)
        columns = (answer[name][0] for name in ("ids", "distances", "documents", "metadatas"))
        return [self._found(*one) for one in zip(*columns, strict=True)]

    def read(self, ids: list[int]) -> list[Found]:
        answer = self._do("get", {"ids": [str(id) for id in ids]})
        return [self._found(id, None, *rest) for id, *rest in zip(answer["ids"], answer["documents"], answer["metadatas"], strict=True)]

    def count(self) -> int:
        return int(self.http.get(f"{self.collections}/{self._id}/count").raise_for_status().json())

    def search_response(self, vector: list[float], k: int) -> httpx.Response:
        return self.http.post(f"{self.collections}/{self._id}/query", json={"query_embeddings": [vector], "n_results": k})

    def forget(self, id: int) -> None:
        self._do("delete", {"ids": [str(id)]})

    def close(self) -> None:
        self.http.close()

    @staticmethod
    def _found(id: str, distance: float | None, text: str | None, metadata: dict[str, Any] | None) -> Found:
        return Found(int(id), distance, text, (metadata or {}).get("tenant"))

    def _do(self, verb: str, body: dict[str, Any]) -> Any:
        return self.http.post(f"{self.collections}/{self._id}/{verb}", json=body).raise_for_status().json()
