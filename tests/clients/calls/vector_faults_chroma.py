"""chromadb's HTTP client in `vector_faults`, 0.6 and 1.5."""

from __future__ import annotations

from typing import Any

import chromadb
import vector_points as wanted


def filled(asked: dict[str, Any], name: str, *, pooled: bool) -> Store:
    """A new collection with the points. The client has a pool of connections in any case, and no setting for a timeout."""
    client = chromadb.HttpClient(host="127.0.0.1", port=asked["port"])
    docs = client.create_collection(name, metadata={"hnsw:space": "cosine"})
    docs.add(ids=["0"], embeddings=[wanted.VECTORS[0]], documents=[wanted.BEFORE], metadatas=[{"tenant": "a"}])
    docs.upsert(
        ids=[str(i) for i in range(wanted.POINTS)],
        embeddings=wanted.VECTORS,
        documents=wanted.TEXTS,
        metadatas=[{"tenant": tenant} for tenant in wanted.TENANTS],
    )
    return Store(client, docs)


class Store:
    """A client and the handle of its collection, which holds the collection's id."""

    def __init__(self, client: Any, docs: Any) -> None:
        self._client = client
        self._docs = docs

    def query(self) -> dict[str, object]:
        found = self._docs.query(query_embeddings=[wanted.ASKED], n_results=wanted.LIMIT, where={"tenant": wanted.TENANT})
        return wanted.told([int(one) for one in found["ids"][0]], found["distances"][0], found["documents"][0])

    def write(self) -> dict[str, object]:
        return {"wrote": self._docs.upsert(ids=[str(wanted.NEW)], embeddings=[wanted.NEW_VECTOR], documents=[wanted.NEW_TEXT])}

    def holds(self) -> bool:
        return bool(self._docs.get(ids=[str(wanted.NEW)])["ids"])

    def probe(self) -> bool:
        return bool(self._client.heartbeat() > 0)

    def fetched_again(self) -> dict[str, object]:
        return Store(self._client, self._client.get_collection(self._docs.name)).query()
