"""What each route of the API does. All raise MismatchError for a body that does not fit, VectorError for what is refused."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mocks.vector.call import Outcome
from mocks.vector.chroma import payloads, reading, records
from mocks.vector.chroma.catalog import DEFAULT_DATABASE, DEFAULT_TENANT, Catalog, Database
from mocks.vector.chroma.collections import Collections
from mocks.vector.chroma.decode import required, text
from mocks.vector.chroma.errors import internal, invalid_argument, invalid_field, not_found, other
from mocks.vector.chroma.names import name_problem
from mocks.vector.chroma.settings import ChromaSettings
from mocks.vector.collection import Collection
from mocks.vector.store import Store

_LEAST_TENANT = 3
_READ_LEVELS = ("index_and_wal", "index_only", "index_and_bounded_wal")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request at its route: the named segments of its path, its query, and its body where the route has one."""

    parts: Mapping[str, str]
    query: Mapping[str, list[str]]
    fields: Mapping[str, Any]
    account: str | None

    def whole(self, name: str) -> int | None:
        """A parameter of the query that is a whole number. Raises VectorError."""
        given = self.query.get(name)
        if given is None:
            return None
        if not (given[-1].isascii() and given[-1].isdigit()):
            raise invalid_argument(f"Failed to deserialize query string: {name}: invalid digit found in string")
        return int(given[-1])


class Operations:
    """The API over one store."""

    def __init__(self, store: Store, settings: ChromaSettings) -> None:
        self._store = store
        self._settings = settings
        self._catalog = Catalog(store)
        self.collections = Collections(store, self._catalog, legacy=settings.legacy)

    def tenant_of(self, collection: Collection) -> str:
        """Whose collection it is."""
        return self._catalog.of_collection(collection).tenant

    def heartbeat(self, _asked: Asked) -> Outcome:
        """The server's clock."""
        return _says({"nanosecond heartbeat": time.time_ns()})

    def version(self, _asked: Asked) -> Outcome:
        """A bare JSON string."""
        return _says(self._settings.version)

    def healthcheck(self, _asked: Asked) -> Outcome:
        """Always ready: a fault says otherwise."""
        return _says({"is_executor_ready": True, "is_log_client_ready": True})

    def pre_flight_checks(self, _asked: Asked) -> Outcome:
        """What clients ask before their first batch."""
        return _says({"max_batch_size": self._settings.max_batch_size, "supports_base64_encoding": not self._settings.legacy})

    def identity(self, asked: Asked) -> Outcome:
        """Who the token belongs to, and the database to use."""
        return _says({"user_id": asked.account or "", "tenant": DEFAULT_TENANT, "databases": [DEFAULT_DATABASE]})

    def reset(self, _asked: Asked) -> Outcome:
        """Forget everything, where that is allowed."""
        if not self._settings.allow_reset:
            raise other(403, "Reset is disabled by config")
        return Outcome(lambda _: True, commit=self._catalog.reset)

    def version_1(self, _asked: Asked) -> Outcome:
        """The API before this one."""
        raise other(410, "The v1 API is deprecated. Please use /v2 apis", "Unimplemented")

    def create_tenant(self, asked: Asked) -> Outcome:
        """A new tenant."""
        name = required(asked.fields, "name", text)
        if len(name) < _LEAST_TENANT:
            raise invalid_field("name", f'Validation error: length [{{"value": String("{name}"), "min": Number({_LEAST_TENANT})}}]')
        if self._catalog.has_tenant(name):
            raise other(409, f"Tenant [{name}] already exists")
        return Outcome(lambda _: {}, commit=lambda: self._catalog.create_tenant(name))

    def get_tenant(self, asked: Asked) -> Outcome:
        """A tenant, by name."""
        name = asked.parts["tenant"]
        if not self._catalog.has_tenant(name):
            raise not_found(f"Tenant [{name}] not found")
        return _says({"name": name, "resource_name": None})

    def update_tenant(self, asked: Asked) -> Outcome:
        """Accepted, and without effect: one node keeps no resource names."""
        required(asked.fields, "resource_name", text)
        return _says({})

    def list_databases(self, asked: Asked) -> Outcome:
        """A tenant's databases, page by page."""
        shown = [one._asdict() for one in self._catalog.databases(asked.parts["tenant"])]
        return _says(_page(shown, asked))

    def create_database(self, asked: Asked) -> Outcome:
        """A new database, whether there is such a tenant or not."""
        tenant, name = asked.parts["tenant"], required(asked.fields, "name", text)
        problem = name_problem(name)
        if problem is not None:
            raise invalid_argument(problem)
        if self._catalog.database(tenant, name) is not None:
            raise other(409, f"Database [{name}] already exists")
        return Outcome(lambda _: {}, commit=lambda: self._catalog.create_database(tenant, name))

    def get_database(self, asked: Asked) -> Outcome:
        """A database, by name."""
        found = self._database(asked)
        if found is None:
            raise not_found(f"Database [{asked.parts['database']}] not found. Are you sure it exists?")
        return _says(found._asdict())

    def delete_database(self, asked: Asked) -> Outcome:
        """A database and all that is in it."""
        found = self._database(asked)
        if found is None:
            raise not_found(f"Database [{asked.parts['database']}] not found")
        return Outcome(lambda _: {}, commit=lambda: self._catalog.delete_database(found))

    def list_collections(self, asked: Asked) -> Outcome:
        """A database's collections, page by page; none where there is no such database."""
        shown = [self.collections.shown(one) for one in _page(self._catalog.collections(self._database(asked)), asked)]
        return _says(shown)

    def count_collections(self, asked: Asked) -> Outcome:
        """How many a database has."""
        return _says(len(self._catalog.collections(self._database(asked))))

    def create_collection(self, asked: Asked) -> Outcome:
        """A new collection, or the one that there is."""
        return self.collections.create(self._database(asked), asked.parts["database"], asked.fields)

    def get_collection(self, asked: Asked) -> Outcome:
        """By name."""
        return _says(self.collections.shown(self.collections.by_name(self._database(asked), asked.parts["collection"])))

    def get_collection_by_id(self, asked: Asked) -> Outcome:
        """By id."""
        return _says(self.collections.shown(self.collections.in_database(self._database(asked), asked.parts["collection"])))

    def update_collection(self, asked: Asked) -> Outcome:
        """By id."""
        return self.collections.change(self._collection(asked), asked.fields)

    def delete_collection(self, asked: Asked) -> Outcome:
        """By name: what looks like an id is taken for one."""
        return self.collections.delete(self.collections.by_name(self._database(asked), asked.parts["collection"]))

    def add(self, asked: Asked) -> Outcome:
        """Records that are not there yet."""
        return self._write("add", asked)

    def upsert(self, asked: Asked) -> Outcome:
        """Records, whether they are there or not."""
        return self._write("upsert", asked)

    def update(self, asked: Asked) -> Outcome:
        """Parts of records that are there."""
        return self._write("update", asked)

    def delete(self, asked: Asked) -> Outcome:
        """Records by id or filter."""
        request = payloads.read_delete(asked.fields)
        return records.delete(self._store, self._collection(asked), request)

    def get(self, asked: Asked) -> Outcome:
        """Records by id or filter."""
        request = payloads.read_get(asked.fields)
        return reading.get(self._collection(asked), request)

    def query(self, asked: Asked) -> Outcome:
        """Nearest records."""
        request = payloads.read_query(asked.fields)
        return reading.query(self._collection(asked), request)

    def count(self, asked: Asked) -> Outcome:
        """How many records a collection has."""
        level = asked.query.get("read_level", _READ_LEVELS)[-1]
        if level not in _READ_LEVELS:
            known = ", ".join(f"`{one}`" for one in _READ_LEVELS)
            raise invalid_argument(f"Failed to deserialize query string: read_level: unknown variant `{level}`, expected one of {known}")
        return _says(len(self._collection(asked).points))

    def fork(self, asked: Asked) -> Outcome:
        """What the hosted service can."""
        required(asked.fields, "new_name", text)
        self._collection(asked)
        raise other(501, "Collection forking is unsupported for local chroma")

    def fork_count(self, asked: Asked) -> Outcome:
        """What the hosted service can."""
        self._collection(asked)
        raise other(501, "Count forks is unsupported for local chroma")

    def indexing_status(self, asked: Asked) -> Outcome:
        """What the hosted service can."""
        self._collection(asked)
        raise internal("Method scout_logs is not implemented")

    def search(self, asked: Asked) -> Outcome:
        """What the hosted service can."""
        self._collection(asked)
        raise other(501, "Error executing plan: Not implemented: Search operation is not implemented for local executor")

    def functions(self, _asked: Asked) -> Outcome:
        """What the hosted service can."""
        message = '" Attached Function operations not yet implemented in SqliteSysDb"'
        raise other(501, f"Tonic error: code: 'Operation is not implemented or not supported', message: {message}")

    def _database(self, asked: Asked) -> Database | None:
        return self._catalog.database(asked.parts["tenant"], asked.parts["database"])

    def _collection(self, asked: Asked) -> Collection:
        return self.collections.by_id(asked.parts["collection"])

    def _write(self, verb: records.Verb, asked: Asked) -> Outcome:
        batch = payloads.read_records(asked.fields, new=verb != "update")
        return records.write(self._store, self._collection(asked), verb, batch)


Perform = Callable[[Operations, Asked], Outcome]


def _says(value: Any) -> Outcome:
    return Outcome(lambda _: value)


def _page(items: list[Any], asked: Asked) -> list[Any]:
    limit, offset = asked.whole("limit"), asked.whole("offset") or 0
    return items[offset : None if limit is None else offset + limit]
