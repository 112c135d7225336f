"""Every route of the API: what it does in words that hold for both products, and who performs it."""

from typing import NamedTuple

from mocks.vector.chroma.operations import Operations, Perform

_ROOT = "/api/v2"
_TENANT = "/api/v2/tenants/{tenant}"
_DATABASE = _TENANT + "/databases/{database}"
_COLLECTIONS = _DATABASE + "/collections"
_COLLECTION = _COLLECTIONS + "/{collection}"


class Route(NamedTuple):
    """One method of one path. `struct` is what the server calls the body; None where it reads none. `open`: no token is asked for."""

    method: str
    pattern: str
    operation: str
    perform: Perform
    struct: str | None = None
    open: bool = False


ROUTES = (
    Route("GET", _ROOT, "probe", Operations.heartbeat, open=True),
    Route("GET", _ROOT + "/heartbeat", "probe", Operations.heartbeat, open=True),
    Route("GET", _ROOT + "/version", "probe", Operations.version, open=True),
    Route("GET", _ROOT + "/healthcheck", "probe", Operations.healthcheck, open=True),
    Route("GET", _ROOT + "/pre-flight-checks", "probe", Operations.pre_flight_checks),
    Route("GET", _ROOT + "/auth/identity", "probe", Operations.identity),
    Route("POST", _ROOT + "/reset", "probe", Operations.reset),
    Route("POST", _ROOT + "/tenants", "probe", Operations.create_tenant, "CreateTenantPayload"),
    Route("GET", _TENANT, "probe", Operations.get_tenant),
    Route("PATCH", _TENANT, "probe", Operations.update_tenant, "UpdateTenantPayload"),
    Route("GET", _TENANT + "/databases", "probe", Operations.list_databases),
    Route("POST", _TENANT + "/databases", "probe", Operations.create_database, "CreateDatabasePayload"),
    Route("GET", _DATABASE, "probe", Operations.get_database),
    Route("DELETE", _DATABASE, "probe", Operations.delete_database),
    Route("GET", _COLLECTIONS, "collection_list", Operations.list_collections),
    Route("POST", _COLLECTIONS, "collection_create", Operations.create_collection, "CreateCollectionPayload"),
    Route("GET", _DATABASE + "/collections_count", "collection_list", Operations.count_collections),
    Route("GET", _COLLECTIONS + "/by-id/{collection}", "collection_get", Operations.get_collection_by_id),
    Route("GET", _COLLECTION, "collection_get", Operations.get_collection),
    Route("PUT", _COLLECTION, "collection_update", Operations.update_collection, "UpdateCollectionPayload"),
    Route("DELETE", _COLLECTION, "collection_delete", Operations.delete_collection),
    Route("POST", _COLLECTION + "/add", "upsert", Operations.add, "AddCollectionRecordsPayload"),
    Route("POST", _COLLECTION + "/upsert", "upsert", Operations.upsert, "UpsertCollectionRecordsPayload"),
    Route("POST", _COLLECTION + "/update", "update", Operations.update, "UpdateCollectionRecordsPayload"),
    Route("POST", _COLLECTION + "/delete", "delete", Operations.delete, "DeleteCollectionRecordsPayload"),
    Route("POST", _COLLECTION + "/get", "get", Operations.get, "GetRequestPayload"),
    Route("POST", _COLLECTION + "/query", "query", Operations.query, "QueryRequestPayload"),
    Route("GET", _COLLECTION + "/count", "count", Operations.count),
    Route("POST", _COLLECTION + "/fork", "collection_create", Operations.fork, "ForkCollectionPayload"),
    Route("GET", _COLLECTION + "/fork_count", "collection_get", Operations.fork_count),
    Route("GET", _COLLECTION + "/indexing_status", "collection_get", Operations.indexing_status),
    Route("POST", _COLLECTION + "/search", "query", Operations.search, "SearchRequestPayload"),
    Route("POST", _COLLECTION + "/functions/attach", "collection_update", Operations.functions),
    Route("GET", _COLLECTION + "/functions/{function}", "collection_get", Operations.functions),
    Route("POST", _COLLECTION + "/attached_functions/{function}/detach", "collection_update", Operations.functions),
)
VERSION_1 = Route("GET", "/api/v1/{rest}", "probe", Operations.version_1, open=True)
"""Whatever follows."""
