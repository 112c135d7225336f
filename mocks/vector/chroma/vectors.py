"""Embeddings of request bodies: arrays of numbers, or base64 of little-endian float32."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from mocks.vector.chroma.decode import MismatchError, invalid_type, sequence
from mocks.vector.chroma.errors import invalid_argument, invalid_field
from mocks.vector.index import Floats

Raw = list[Any]
"""Numbers, or one base64 string each; checked for type only."""

_FLOAT_BYTES = 4


def raw_vectors(value: Any, path: str) -> Raw:
    """Vectors of one kind, arrays or strings. Raises MismatchError."""
    if isinstance(value, list) and (all(isinstance(one, str) for one in value) or all(_is_numbers(one) for one in value)):
        return value
    raise MismatchError(path, "data did not match any variant of untagged enum EmbeddingsPayload")


def raw_new_vectors(value: Any, path: str) -> Raw:
    """The same of an update, where null leaves a vector as it is."""
    given = [one for one in value if one is not None] if isinstance(value, list) else value
    try:
        raw_vectors(given, path)
    except MismatchError:
        raise MismatchError(path, "data did not match any variant of untagged enum UpdateEmbeddingsPayload") from None
    return list(value)


def query_vectors(value: Any, path: str) -> list[list[float]]:
    """Arrays of numbers: queries are never base64. Raises MismatchError that names the first value that does not fit."""
    vectors = sequence(value, path)
    for i, vector in enumerate(vectors):
        if not _is_numbers(vector):
            numbers = sequence(vector, f"{path}[{i}]")
            j = next(j for j, number in enumerate(numbers) if type(number) not in (int, float))
            raise invalid_type(numbers[j], f"{path}[{i}][{j}]", "f32")
    return vectors


def unpack(raw: Sequence[Any]) -> list[Floats | None]:
    """The vectors, each checked to be finite and not empty. Raises VectorError."""
    vectors = [None if one is None else _from_base64(one) if isinstance(one, str) else _from_numbers(one) for one in raw]
    for vector in vectors:
        if vector is not None and not len(vector):
            raise invalid_field("embeddings", "Each embedding must have at least 1 dimension")
        if vector is not None and not np.isfinite(vector).all():
            raise invalid_field("embeddings", "Embeddings must not contain NaN or Infinity values")
    return vectors


def check_dimensions(vectors: Sequence[Floats | None], expected: int | None) -> None:
    """Whether all have the same number of dimensions, and that of the collection (None while it has none). Raises VectorError."""
    lengths = [len(vector) for vector in vectors if vector is not None]
    if lengths and min(lengths) != max(lengths):
        raise invalid_argument("Inconsistent dimensions in provided embeddings")
    if lengths and expected is not None and lengths[0] != expected:
        raise wrong_dimension(expected, lengths[0])


def wrong_dimension(expected: int, got: int) -> Exception:
    """The refusal of a vector that does not fit the collection."""
    return invalid_argument(f"Collection expecting embedding with dimension of {expected}, got {got}")


def as_float32(vectors: Sequence[Sequence[float]]) -> list[Floats]:
    """Numbers as the server keeps them; what is too large becomes infinite."""
    return [_from_numbers(vector) for vector in vectors]


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {int, float}


def _from_numbers(numbers: Sequence[float]) -> Floats:
    with np.errstate(over="ignore"):  # 1e39 is infinite in float32, and refused as such
        return np.array(numbers, dtype=np.float64).astype(np.float32)


def _from_base64(encoded: str) -> Floats:
    data = _decode(encoded)
    if len(data) % _FLOAT_BYTES:
        raise invalid_argument(
            f"Invalid byte length: {len(data)} bytes cannot be converted to f32 values (must be divisible by {_FLOAT_BYTES})"
        )
    vector = np.frombuffer(data, dtype="<f4").astype(np.float32)
    unusable = np.flatnonzero(~np.isfinite(vector))
    if len(unusable):
        value = vector[unusable[0]]
        spelled = "NaN" if np.isnan(value) else "inf" if value > 0 else "-inf"
        raise invalid_argument(f"Non-finite float value at embedding index {unusable[0]}: {spelled}")
    return vector


def _decode(encoded: str) -> bytes:
    for offset, character in enumerate(encoded.encode()):
        if not (character < 128 and (chr(character).isalnum() or character in b"+/=")):
            raise invalid_argument(f"Invalid base64 string: Invalid symbol {character}, offset {offset}.")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise invalid_argument("Invalid base64 string: Invalid padding") from None
