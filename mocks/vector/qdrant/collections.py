"""Operations on collections, aliases and payload indexes."""

from collections.abc import Callable, Mapping
from typing import Any

from mocks.vector.call import Outcome
from mocks.vector.collection import Collection
from mocks.vector.qdrant import config, errors
from mocks.vector.qdrant.decode import FormatError, a_list, an_object, field, path, text
from mocks.vector.store import LimitError, Store

_ALIASES = "aliases"  # the store's note: alias → name of the collection

Body = Mapping[str, Any]


class Collections:
    """Everything about collections but their points."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> Collection:
        """The collection of that name or alias. Raises VectorError (404)."""
        found = self._store.find(name) or self._store.find(self._aliases().get(name, name))
        if found is None:
            raise errors.no_collection(name)
        return found

    def listed(self) -> Outcome:
        """`GET /collections`."""
        names = self._store.names()
        return Outcome(lambda _: {"collections": [{"name": name} for name in names]})

    def exists(self, name: str) -> Outcome:
        """`GET /collections/{name}/exists`."""
        exists = self._store.find(name) is not None or name in self._aliases()
        return Outcome(lambda _: {"exists": exists})

    def info(self, name: str, version: str) -> Outcome:
        """`GET /collections/{name}`, as the server of that version shows it."""
        collection = self.get(name)
        return Outcome(lambda _: config.info(collection, version))

    def create(self, name: str, body: Body) -> Outcome:
        """`PUT /collections/{name}`."""
        config.check_name(name)
        shown, spaces = config.new_config(body)
        if self._store.find(name) is not None:
            raise errors.already_exists(f"Collection `{name}` already exists!")
        if name in self._aliases():
            raise errors.wrong_input(f"Can't create collection with name {name}. Alias with the same name already exists")

        def commit() -> None:
            try:
                self._store.create(name, shown, spaces)
            except ValueError:  # it was created while this was on its way
                raise errors.already_exists(f"Collection `{name}` already exists!") from None
            except LimitError as error:
                raise errors.wrong_input(f"Collection limit reached: {error}") from error

        return Outcome(lambda _: True, commit=commit)

    def update(self, name: str, body: Body) -> Outcome:
        """`PATCH /collections/{name}`."""
        collection = self.get(name)
        changed = config.changed_config(collection.config, body)
        return Outcome(lambda _: True, commit=lambda: self._store.configure(collection, changed))

    def delete(self, name: str) -> Outcome:
        """`DELETE /collections/{name}`: an alias is none; its own aliases go with a collection."""
        collection = self._store.find(name)

        def commit() -> None:
            if collection is None or collection.id not in self._store.collections:
                return
            self._store.drop(collection)
            kept = {alias: target for alias, target in self._aliases().items() if target != name}
            if kept != self._aliases():
                self._store.note(_ALIASES, kept)

        return Outcome(lambda _: collection is not None, commit=commit)

    def create_index(self, name: str, body: Body) -> Callable[[], None]:
        """The change that `PUT /collections/{name}/index` makes."""
        collection = self.get(name)
        key = text(field(body, "field_name"))
        path(key)
        schema = body.get("field_schema", body.get("field_type"))
        if schema is None:
            raise errors.wrong_input(f"Unable to infer type for the field '{key}'. Please specify `field_type`")
        entry = config.index_entry(schema)
        return lambda: self._set_schema(collection, {**collection.config["payload_schema"], key: entry})

    def delete_index(self, name: str, key: str) -> Callable[[], None]:
        """The change that `DELETE /collections/{name}/index/{key}` makes."""
        collection = self.get(name)
        path(key)
        return lambda: self._set_schema(
            collection, {one: entry for one, entry in collection.config["payload_schema"].items() if one != key}
        )

    def aliases(self, name: str | None = None) -> Outcome:
        """`GET /aliases`, `GET /collections/{name}/aliases`."""
        target = None if name is None else self.get(name).name
        pairs = [(alias, one) for alias, one in self._aliases().items() if target in (None, one)]
        return Outcome(lambda _: {"aliases": [{"alias_name": alias, "collection_name": one} for alias, one in pairs]})

    def update_aliases(self, body: Body) -> Outcome:
        """`POST /collections/aliases`: all of the actions, or none."""
        aliases = dict(self._aliases())
        for action in a_list(field(body, "actions"), lambda one: an_object(one, "enum AliasOperations")):
            self._act(aliases, action)
        return Outcome(lambda _: True, commit=lambda: self._store.note(_ALIASES, aliases))

    def _act(self, aliases: dict[str, str], action: dict[str, Any]) -> None:
        kind = next(iter(action), "")
        if len(action) != 1 or kind not in ("create_alias", "delete_alias", "rename_alias"):
            raise FormatError("data did not match any variant of untagged enum AliasOperations")
        given = an_object(action[kind], "a map")
        if kind == "create_alias":
            target, alias = text(field(given, "collection_name")), text(field(given, "alias_name"))
            if self._store.find(target) is None:
                raise errors.no_collection(target)
            if self._store.find(alias) is not None:
                raise errors.already_exists(f"Collection `{alias}` already exists!")
            aliases[alias] = target
        elif kind == "delete_alias":
            aliases.pop(text(field(given, "alias_name")), None)
        else:
            old, new = text(field(given, "old_alias_name")), text(field(given, "new_alias_name"))
            if old not in aliases:
                raise errors.not_found(f"Alias {old} does not exists!")
            aliases[new] = aliases.pop(old)

    def _aliases(self) -> dict[str, str]:
        noted: dict[str, str] = self._store.notes.get(_ALIASES, {})
        return noted

    def _set_schema(self, collection: Collection, schema: dict[str, Any]) -> None:
        self._store.configure(collection, {**collection.config, "payload_schema": schema})
