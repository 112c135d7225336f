"""Tenants and databases, kept with the store as a note; a collection's scope is the id of its database."""

import uuid
from typing import Any, NamedTuple

from mocks.vector.collection import Collection
from mocks.vector.store import Store

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"

_NOTE = "chroma"
_DEFAULT_ID = "00000000-0000-0000-0000-000000000000"


class Database(NamedTuple):
    """A database of a tenant."""

    id: str
    name: str
    tenant: str


class Catalog:
    """What there is, by name. Writes are changes of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def has_tenant(self, name: str) -> bool:
        """Whether a tenant was created."""
        return name in self._known()["tenants"]

    def create_tenant(self, name: str) -> None:
        """Add a tenant, if there is none of that name."""
        known = self._known()
        if name not in known["tenants"]:
            self._store.note(_NOTE, {**known, "tenants": [*known["tenants"], name]})

    def databases(self, tenant: str) -> list[Database]:
        """A tenant's, by name."""
        return sorted((one for one in self._databases() if one.tenant == tenant), key=lambda one: one.name)

    def database(self, tenant: str, name: str) -> Database | None:
        """One of a tenant."""
        return next((one for one in self._databases() if one.tenant == tenant and one.name == name), None)

    def create_database(self, tenant: str, name: str) -> None:
        """Add a database, if the tenant has none of that name. The server asks for no such tenant to exist."""
        if self.database(tenant, name) is None:
            self._keep([*self._databases(), Database(str(uuid.uuid4()), name, tenant)])

    def delete_database(self, database: Database) -> None:
        """Forget a database and its collections."""
        for collection in self.collections(database):
            self._store.drop(collection)
        self._keep([one for one in self._databases() if one.id != database.id])

    def collections(self, database: Database | None) -> list[Collection]:
        """Those of a database, in the order of creation (the real server's is that of their random ids); none in no database."""
        return [] if database is None else [one for one in self._store.collections.values() if one.scope == database.id]

    def of_collection(self, collection: Collection) -> Database:
        """The database that a collection lies in."""
        return next(one for one in self._databases() if one.id == collection.scope)

    def reset(self) -> None:
        """Forget everything."""
        for collection in list(self._store.collections.values()):
            self._store.drop(collection)
        self._store.note(_NOTE, None)

    def _databases(self) -> list[Database]:
        return [Database(*one) for one in self._known()["databases"]]

    def _keep(self, databases: list[Database]) -> None:
        self._store.note(_NOTE, {**self._known(), "databases": [list(one) for one in databases]})

    def _known(self) -> dict[str, Any]:
        default = {"tenants": [DEFAULT_TENANT], "databases": [[_DEFAULT_ID, DEFAULT_DATABASE, DEFAULT_TENANT]]}
        known: dict[str, Any] = self._store.notes.get(_NOTE, default)
        return known
