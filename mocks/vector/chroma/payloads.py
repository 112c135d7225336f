"""The bodies of requests about records, read field by field. Raising MismatchError means 422, whatever collection was meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mocks.vector.chroma import vectors
from mocks.vector.chroma.decode import (
    MismatchError,
    choice,
    listed,
    mapping,
    nullable,
    optional,
    required,
    text,
    whole,
)

INCLUDABLE = ("distances", "documents", "embeddings", "metadatas", "uris")
_DEFAULT_GET = ("documents", "metadatas")
_DEFAULT_QUERY = ("documents", "metadatas", "distances")

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """A batch to add, upsert or update: columns, of which each may be missing. `embeddings` are not decoded yet."""

    ids: list[str]
    embeddings: vectors.Raw | None
    metadatas: list[Metadata | None] | None
    documents: list[str | None] | None
    uris: list[str | None] | None

    @property
    def consistent(self) -> bool:
        """Whether all columns are as long as the ids."""
        columns = (self.embeddings, self.metadatas, self.documents, self.uris)
        return all(column is None or len(column) == len(self.ids) for column in columns)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are meant; the filters are not parsed yet."""

    ids: list[str] | None
    where: Any
    where_document: Any


@dataclass(frozen=True, slots=True)
class Get:
    """Records to be shown."""

    selection: Selection
    limit: int | None
    offset: int
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """Neighbours to be found."""

    selection: Selection
    embeddings: list[list[float]]
    n_results: int
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Records to be forgotten, at most `limit` of them."""

    selection: Selection
    limit: int | None


def read_records(fields: Metadata, *, new: bool) -> Records:
    """A batch; where they are `new` (add, upsert) it must hold embeddings. Raises MismatchError."""
    return Records(
        ids=required(fields, "ids", listed(text)),
        embeddings=required(fields, "embeddings", vectors.raw_vectors) if new else optional(fields, "embeddings", vectors.raw_new_vectors),
        metadatas=optional(fields, "metadatas", listed(nullable(_metadata if new else _new_metadata))),
        documents=optional(fields, "documents", listed(nullable(text))),
        uris=optional(fields, "uris", listed(nullable(text))),
    )


def read_get(fields: Metadata) -> Get:
    """Raises MismatchError."""
    return Get(_selection(fields), optional(fields, "limit", whole), optional(fields, "offset", whole) or 0, _include(fields, _DEFAULT_GET))


def read_query(fields: Metadata) -> Query:
    """Raises MismatchError."""
    selection = _selection(fields)
    embeddings = required(fields, "query_embeddings", vectors.query_vectors)
    wanted = optional(fields, "n_results", whole)
    return Query(selection, embeddings, _DEFAULT_N_RESULTS if wanted is None else wanted, _include(fields, _DEFAULT_QUERY))


def read_delete(fields: Metadata) -> Delete:
    """Raises MismatchError."""
    return Delete(_selection(fields), optional(fields, "limit", whole))


def read_collection_metadata(value: Any, path: str) -> Metadata:
    """The metadata of a collection: no lists. Raises MismatchError."""
    values = mapping(value, path)
    for key, one in values.items():
        if not isinstance(one, (str, int, float)):
            raise _no_metadata(f"{path}.{key}", "MetadataValue")
    return values


_DEFAULT_N_RESULTS = 10


def _selection(fields: Metadata) -> Selection:
    return Selection(optional(fields, "ids", listed(text)), fields.get("where"), fields.get("where_document"))


def _include(fields: Metadata, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(listed(choice(INCLUDABLE))(fields["include"], "include")) if "include" in fields else default


def _metadata(value: Any, path: str) -> Metadata:
    return _checked_metadata(value, path, "MetadataValue")


def _new_metadata(value: Any, path: str) -> Metadata:
    """Of an update: null takes a key away."""
    known = mapping(value, path)
    kept = _checked_metadata({key: one for key, one in known.items() if one is not None}, path, "UpdateMetadataValue")
    return {**known, **kept}


def _checked_metadata(value: Any, path: str, enum: str) -> Metadata:
    return {key: _value(one, f"{path}.{key}", enum) for key, one in mapping(value, path).items()}


def _value(value: Any, path: str, enum: str) -> Any:
    """A text, a number, a flag, or a list of one of these kinds; integers among other numbers of a list become such."""
    if isinstance(value, (str, int, float)):
        return value
    types = {type(one) for one in value} if isinstance(value, list) else {type(value)}
    if len(types) > 1 and types <= {int, float}:
        return [float(one) for one in value]
    if not isinstance(value, list) or len(types) > 1 or not types <= {str, bool, int, float}:
        raise _no_metadata(path, enum)
    return value


def _no_metadata(path: str, enum: str) -> MismatchError:
    return MismatchError(path, f"data did not match any variant of untagged enum {enum}")
