"""Collections as resources: created, found, listed, changed, deleted, described."""

import uuid
from collections.abc import Mapping
from typing import Any

from mocks.vector.call import Outcome
from mocks.vector.chroma.catalog import Catalog, Database
from mocks.vector.chroma.decode import flag, mapping, optional, required, text
from mocks.vector.chroma.description import changed_config, check_metadata, described, new_config, space
from mocks.vector.chroma.errors import internal, invalid_argument, invalid_field, not_found, other
from mocks.vector.chroma.names import name_problem
from mocks.vector.chroma.payloads import read_collection_metadata
from mocks.vector.collection import Collection
from mocks.vector.store import Store


class Collections:
    """The collections of all databases."""

    def __init__(self, store: Store, catalog: Catalog, *, legacy: bool) -> None:
        self._store = store
        self._catalog = catalog
        self._legacy = legacy

    def by_name(self, database: Database | None, name: str) -> Collection:
        """Raises VectorError."""
        found = None if database is None else self._store.find(name, database.id)
        if found is None:
            raise not_found(f"Collection [{name}] does not exist")
        return found

    def by_id(self, id: str) -> Collection:
        """In whatever database: a handle needs no more than the id. Raises VectorError."""
        try:
            known = str(uuid.UUID(id))
        except ValueError:
            raise invalid_argument("Collection ID is not a valid UUIDv4") from None
        if known not in self._store.collections:
            raise not_found(f"Collection [{known}] does not exist.")
        return self._store.collections[known]

    def in_database(self, database: Database | None, id: str) -> Collection:
        """By id, in this database only. Raises VectorError."""
        try:
            known = str(uuid.UUID(id))
        except ValueError:
            raise invalid_field("collection_id", "Invalid collection ID format, expected UUID") from None
        found = self._store.collections.get(known)
        if found is None or database is None or found.scope != database.id:
            raise not_found(f"Collection [{known}] does not exist")
        return found

    def create(self, database: Database | None, database_name: str, fields: Mapping[str, Any]) -> Outcome:
        """A new collection, or with `get_or_create` the one of that name as it is. Raises MismatchError, VectorError."""
        name = required(fields, "name", text)
        metadata = optional(fields, "metadata", read_collection_metadata)
        config = new_config(optional(fields, "configuration", mapping), metadata)
        get_or_create = optional(fields, "get_or_create", flag) or False
        problem = name_problem(name)
        if problem is not None:
            raise invalid_field("name", problem)
        check_metadata("metadata", metadata)
        if database is None:
            raise invalid_argument(f"Database [{database_name}] does not exist")
        existing = self._store.find(name, database.id)
        if existing is not None:
            if not get_or_create:
                raise other(409, f"Collection [{name}] already exists")
            return Outcome(lambda _: self.shown(existing))
        return self._creation(database, name, config)

    def change(self, collection: Collection, fields: Mapping[str, Any]) -> Outcome:
        """Another name, metadata, configuration. Raises MismatchError, VectorError."""
        name = optional(fields, "new_name", text)
        given = optional(fields, "new_metadata", mapping)
        metadata = None if given is None else {key: value for key, value in given.items() if value is not None}
        read_collection_metadata(metadata or {}, "new_metadata")
        config = changed_config(collection.config, optional(fields, "new_configuration", mapping), metadata)
        if name is not None and (problem := name_problem(name)) is not None:
            raise invalid_field("new_name", problem)
        check_metadata("new_metadata", given)
        if name not in (None, collection.name) and self._store.find(name or "", collection.scope) is not None:
            taken = "UNIQUE constraint failed: collections.name, collections.database_id"
            raise internal(f"Database error: error returned from database: (code: 2067) {taken}")
        return Outcome(lambda _: {}, commit=lambda: self._configure(collection, config, name))

    def delete(self, collection: Collection) -> Outcome:
        """Forget a collection and its records."""
        return Outcome(lambda _: {}, commit=lambda: self._drop(collection))

    def listed(self, database: Database | None, limit: int | None, offset: int) -> list[dict[str, Any]]:
        """Descriptions of a database's collections."""
        end = None if limit is None else offset + limit
        return [self.shown(one) for one in self._catalog.collections(database)[offset:end]]

    def shown(self, collection: Collection) -> dict[str, Any]:
        """A collection's description."""
        database = self._catalog.of_collection(collection)
        return self._shown(collection.id, collection.name, collection.config, collection.dimensions(), database)

    def _shown(self, id: str, name: str, config: Mapping[str, Any], dimension: int | None, database: Database) -> dict[str, Any]:
        return {
            "id": id,
            "name": name,
            **described(config, legacy=self._legacy),
            "metadata": config["metadata"],
            "dimension": dimension,
            "tenant": database.tenant,
            "database": database.name,
            "log_position": 0,
            "version": 0,
        }

    def _creation(self, database: Database, name: str, config: dict[str, Any]) -> Outcome:
        id = str(uuid.uuid4())

        def create() -> None:
            if self._store.find(name, database.id) is None and database in self._catalog.databases(database.tenant):
                self._store.create(name, config, {"": space(config)}, database.id, id)

        return Outcome(lambda _: self._shown(id, name, config, None, database), commit=create)

    def _configure(self, collection: Collection, config: dict[str, Any], name: str | None) -> None:
        free = name is None or name == collection.name or self._store.find(name, collection.scope) is None
        if free and self._store.collections.get(collection.id) is collection:
            self._store.configure(collection, config, name)

    def _drop(self, collection: Collection) -> None:
        if self._store.collections.get(collection.id) is collection:
            self._store.drop(collection)
