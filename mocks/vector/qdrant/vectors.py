"""Vectors as they come in requests: one, or several by name."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mocks.vector.collection import Collection
from mocks.vector.index import Floats
from mocks.vector.plan import VectorError
from mocks.vector.qdrant import config, errors
from mocks.vector.qdrant.decode import FormatError, floats


def point_vectors(value: Any) -> dict[str, Floats]:
    """The vectors of a point by name: a list is the one without a name. Raises FormatError, VectorError (kinds that are not supported)."""
    if isinstance(value, dict):
        _refuse_inference(value)
        return {name: _one(vector, "Vector") for name, vector in value.items()}
    return {"": _one(value, "VectorStruct")}


def batch_vectors(value: Any, count: int) -> list[dict[str, Floats]]:
    """The vectors of so many points in columns: a list of vectors, or lists by name. Raises FormatError, VectorError."""
    columns = value if isinstance(value, dict) else {"": value}
    rows: list[dict[str, Floats]] = [{} for _ in range(count)]
    for name, column in columns.items():
        if not isinstance(column, list):
            raise FormatError("data did not match any variant of untagged enum BatchVectorStruct")
        if len(column) != count:
            raise errors.wrong_input(f"Number of ids and vectors must be equal ({count} != {len(column)})")
        for row, vector in zip(rows, column, strict=True):
            row[name] = _one(vector, "BatchVectorStruct")
    return rows


def query_vector(collection: Collection, using: str, value: Any) -> Floats:
    """A vector to search with, fit for its space. Raises FormatError, VectorError."""
    check_space(collection, using)
    vector = _one(value, "VectorInput")
    return fitted(collection, using, vector)


def check_space(collection: Collection, using: str) -> None:
    """Whether one can search under that name. Raises VectorError."""
    if using in collection.spaces:
        return
    names = ", ".join(sorted(collection.spaces))
    if using == "":
        raise errors.wrong_input(f"Collection requires specified vector name in the request, available names: {names}")
    raise errors.wrong_input(f"Not existing vector name error: {using}")


def all_fitted(collection: Collection, vectors: Mapping[str, Floats]) -> dict[str, Floats]:
    """Vectors of a point as they are stored. Raises VectorError."""
    check_names(collection, vectors)
    return {name: fitted(collection, name, vector) for name, vector in vectors.items()}


def check_names(collection: Collection, names: Iterable[str]) -> None:
    """Whether the collection has vectors of these names. Raises VectorError."""
    for name in names:
        if name not in collection.spaces:
            raise errors.wrong_input(f"Not existing vector name error: {name}")


def fitted(collection: Collection, name: str, vector: Floats) -> Floats:
    """A vector as its space wants it: of its length, finite, normalised where the distance is `Cosine`. Raises VectorError."""
    expected = collection.spaces[name].dimensions or len(vector)
    if len(vector) != expected:
        raise errors.wrong_dimensions(expected, len(vector))
    if not np.isfinite(vector).all():
        raise errors.not_finite()
    if not config.is_cosine(collection, name):
        return vector
    length = np.sqrt(np.square(vector, dtype=np.float64).sum())
    return vector if length == 0 else (vector / length).astype(np.float32)


def _one(value: Any, variants: str) -> Floats:
    if isinstance(value, list) and value and isinstance(value[0], list):
        raise errors.unsupported("a multivector")
    if isinstance(value, dict):
        _refuse_inference(value)
        raise _unknown_kind(value, variants)
    if value == []:
        raise errors.wrong_dimensions(1, 0) if variants == "VectorInput" else FormatError("Vector is empty")
    return floats(value, variants)


def _refuse_inference(value: Mapping[str, Any]) -> None:
    if "model" in value and isinstance(value["model"], str):
        raise errors.wrong_input(
            "InferenceService is not initialized. Please check if it was properly configured and initialized during startup."
        )


def _unknown_kind(value: Mapping[str, Any], variants: str) -> VectorError | FormatError:
    if set(value) == {"indices", "values"}:
        return errors.unsupported("a sparse vector")
    return FormatError(f"data did not match any variant of untagged enum {variants}")
