"""Which path does what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mocks.http.message import Request
from mocks.vector.call import OPERATIONS, Outcome
from mocks.vector.collection import Collection
from mocks.vector.plan import Kind, VectorError
from mocks.vector.qdrant import legacy, reads, writes
from mocks.vector.qdrant.collections import Collections
from mocks.vector.qdrant.decode import body_of
from mocks.vector.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its route, with everything that is needed to do what it asks. `parts` are the open segments of its path."""

    store: Store
    collections: Collections
    request: Request
    parts: tuple[str, ...]
    version: str

    @property
    def collection(self) -> Collection:
        """The collection that the path names. Raises VectorError."""
        return self.collections.get(self.parts[0])

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body. Raises FormatError, VectorError."""
        return body_of(self.request.body, self.request.header("content-type"))

    @property
    def waits(self) -> bool:
        """Whether the client wants to wait until a change is made. Raises VectorError."""
        value = self.request.parameters().get("wait", ["false"])[-1]
        if value not in ("true", "false"):
            raise VectorError(400, "Deserialize error in query parameters: provided string was not `true` or `false`")
        return value == "true"


Perform = Callable[[Asked], Outcome]


@dataclass(frozen=True, slots=True)
class Route:
    """`{name}` in the pattern is the collection."""

    method: str
    pattern: str
    operation: str
    perform: Perform

    @property
    def kind(self) -> Kind:
        """Whether it reads, writes or probes."""
        return OPERATIONS[self.operation]


def _text(body: str) -> Perform:
    return lambda _: Outcome(lambda _lists: body, content_type="text/plain; charset=utf-8")


def _root(asked: Asked) -> Outcome:
    return Outcome(lambda _: {"title": "qdrant - vector search engine", "version": asked.version, "commit": ""}, bare=True)


def _written(asked: Asked, collection: Collection, commits: list[Callable[[], None]], *, many: bool = False) -> Outcome:
    status = "completed" if asked.waits else "acknowledged"

    def commit() -> None:
        for one in commits:
            one()

    def body(_: Any) -> Any:
        result = {"operation_id": collection.revision, "status": status}
        return [result] * len(commits) if many else result

    return Outcome(body, commit=commit)


def _write(change: Callable[[Store, Collection, writes.Body], Callable[[], None]]) -> Perform:
    def perform(asked: Asked) -> Outcome:
        body = asked.body
        collection = asked.collection
        return _written(asked, collection, [change(asked.store, collection, body)])

    return perform


def _batch(asked: Asked) -> Outcome:
    body = asked.body
    collection = asked.collection
    return _written(asked, collection, writes.batch(asked.store, collection, body), many=True)


def _create_index(asked: Asked) -> Outcome:
    body = asked.body
    return _written(asked, asked.collection, [asked.collections.create_index(asked.parts[0], body)])


def _delete_index(asked: Asked) -> Outcome:
    return _written(asked, asked.collection, [asked.collections.delete_index(*asked.parts)])


def _read(read: Callable[[Collection, reads.Body], Outcome]) -> Perform:
    def perform(asked: Asked) -> Outcome:
        body = asked.body
        return read(asked.collection, body)

    return perform


def _query(query: Callable[[Collection, reads.Body, Callable[[str], Collection]], Outcome]) -> Perform:
    def perform(asked: Asked) -> Outcome:
        body = asked.body
        return query(asked.collection, body, asked.collections.get)

    return perform


_C = "/collections/{name}"

ROUTES = (
    Route("GET", "/", "probe", _root),
    Route("GET", "/healthz", "probe", _text("healthz check passed")),
    Route("GET", "/livez", "probe", _text("healthz check passed")),
    Route("GET", "/readyz", "probe", _text("all shards are ready")),
    Route("GET", "/collections", "collection_list", lambda asked: asked.collections.listed()),
    Route("GET", "/aliases", "collection_list", lambda asked: asked.collections.aliases()),
    Route("POST", "/collections/aliases", "collection_update", lambda asked: asked.collections.update_aliases(asked.body)),
    Route("GET", _C, "collection_get", lambda asked: asked.collections.info(asked.parts[0], asked.version)),
    Route("PUT", _C, "collection_create", lambda asked: asked.collections.create(asked.parts[0], asked.body)),
    Route("PATCH", _C, "collection_update", lambda asked: asked.collections.update(asked.parts[0], asked.body)),
    Route("DELETE", _C, "collection_delete", lambda asked: asked.collections.delete(asked.parts[0])),
    Route("GET", f"{_C}/exists", "collection_get", lambda asked: asked.collections.exists(asked.parts[0])),
    Route("GET", f"{_C}/aliases", "collection_get", lambda asked: asked.collections.aliases(asked.parts[0])),
    Route("PUT", f"{_C}/index", "collection_update", _create_index),
    Route("DELETE", f"{_C}/index/{{field}}", "collection_update", _delete_index),
    Route("PUT", f"{_C}/points", "upsert", _write(writes.upsert)),
    Route("POST", f"{_C}/points", "get", _read(reads.retrieve)),
    Route("GET", f"{_C}/points/{{id}}", "get", lambda asked: reads.one_point(asked.collection, asked.parts[1])),
    Route("POST", f"{_C}/points/delete", "delete", _write(writes.delete)),
    Route("POST", f"{_C}/points/payload", "update", _write(writes.set_payload)),
    Route("PUT", f"{_C}/points/payload", "update", _write(writes.overwrite_payload)),
    Route("POST", f"{_C}/points/payload/delete", "update", _write(writes.delete_payload)),
    Route("POST", f"{_C}/points/payload/clear", "update", _write(writes.clear_payload)),
    Route("PUT", f"{_C}/points/vectors", "update", _write(writes.update_vectors)),
    Route("POST", f"{_C}/points/vectors/delete", "update", _write(writes.delete_vectors)),
    Route("POST", f"{_C}/points/batch", "update", _batch),
    Route("POST", f"{_C}/points/scroll", "get", _read(reads.scroll)),
    Route("POST", f"{_C}/points/count", "count", _read(reads.count)),
    Route("POST", f"{_C}/points/query", "query", _query(reads.query)),
    Route("POST", f"{_C}/points/query/batch", "query", _query(reads.query_batch)),
    Route("POST", f"{_C}/points/query/groups", "query", _query(reads.query_groups)),
    Route("POST", f"{_C}/points/search", "query", _query(legacy.search)),
    Route("POST", f"{_C}/points/search/batch", "query", _query(legacy.search_batch)),
    Route("POST", f"{_C}/points/search/groups", "query", _query(legacy.search_groups)),
    Route("POST", f"{_C}/points/recommend", "query", _query(legacy.recommend)),
    Route("POST", f"{_C}/points/recommend/batch", "query", _query(legacy.recommend_batch)),
    Route("POST", f"{_C}/points/recommend/groups", "query", _query(legacy.recommend_groups)),
    Route("POST", f"{_C}/facet", "count", _read(reads.facet)),
)
