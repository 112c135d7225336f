"""Vectors that are wrong: in shape, in order, in value, or in what they mean."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mocks.faults.documents import Param
from mocks.llm.answer import EmbeddingAnswer
from mocks.llm.faults.edits import edit_vectors
from mocks.llm.faults.registry import FAULTS, OfEmbeddings
from mocks.llm.hashing import Vector
from mocks.llm.plan import Plan


@dataclass(kw_only=True)
class _WrongVectors(OfEmbeddings, ABC):
    """Changes the answer after it was computed."""

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the vectors."""
        edit_vectors(plan, self, lambda answer: self.changed(answer, rng))
        return True

    @abstractmethod
    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:
        """The answer as it leaves; the very one that was given where there is nothing to change."""


@dataclass(kw_only=True)
class _WrongEach(_WrongVectors):
    """Changes each vector by itself."""

    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:  # noqa: ARG002 - nothing is drawn
        """Every vector changed; those that came in are shared with other answers, and left as they are."""
        return replace(answer, vectors=[self.vector(one) for one in answer.vectors])

    @abstractmethod
    def vector(self, vector: Vector) -> Vector:
        """Another vector for this one."""


@FAULTS.register("embedding_wrong_dimension")
@dataclass(kw_only=True)
class EmbeddingWrongDimension(_WrongVectors):
    """A vector store refuses them, or worse, does not."""

    summary: ClassVar[str] = "Vectors of `dimensions` coordinates, whatever was asked: cut off, or filled up with zeros."
    dimensions: Annotated[int, Param("how many coordinates", "coordinates", least=1, most=16_384, example=8)]

    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:  # noqa: ARG002 - nothing is drawn
        """Vectors of another length, still of norm 1."""
        if all(len(one) == self.dimensions for one in answer.vectors):
            return answer
        return replace(answer, vectors=[_resized(one, self.dimensions) for one in answer.vectors])


def _resized(vector: Vector, dimensions: int) -> Vector:
    resized = np.zeros(dimensions, np.float32)
    kept = min(dimensions, len(vector))
    resized[:kept] = vector[:kept]
    norm = float(np.linalg.norm(resized))
    if norm == 0:
        resized[0] = norm = 1.0
    return resized / np.float32(norm)


@FAULTS.register("embedding_zero")
@dataclass(kw_only=True)
class EmbeddingZero(_WrongEach):
    """Cosine similarity divides by the norm."""

    summary: ClassVar[str] = "Vectors of zeros."

    def vector(self, vector: Vector) -> Vector:
        """No direction."""
        return np.zeros_like(vector)


@FAULTS.register("embedding_nan")
@dataclass(kw_only=True)
class EmbeddingNan(_WrongEach):
    """One bad coordinate spoils every distance."""

    summary: ClassVar[str] = (
        "The first coordinate of every vector is NaN or infinite; as floats, bare `NaN` or `Infinity`, which no JSON has."
    )
    value: Annotated[Literal["nan", "inf"], Param("which")] = "nan"

    def vector(self, vector: Vector) -> Vector:
        """One coordinate spoilt."""
        spoilt = vector.copy()
        spoilt[0] = float(self.value)
        return spoilt


@FAULTS.register("embedding_not_normalised")
@dataclass(kw_only=True)
class EmbeddingNotNormalised(_WrongEach):
    """Whoever takes the inner product for the cosine ranks by length."""

    summary: ClassVar[str] = "Vectors of norm `scale` instead of 1."
    scale: Annotated[float, Param("the norm", above=0)] = 3.7

    def __post_init__(self) -> None:
        if self.scale == 1:
            raise ValueError("scale must not be 1, which is what every good vector has")

    def vector(self, vector: Vector) -> Vector:
        """The same direction."""
        return vector * np.float32(self.scale)


@FAULTS.register("embedding_count_mismatch")
@dataclass(kw_only=True)
class EmbeddingCountMismatch(_WrongVectors):
    """Whoever pairs inputs and vectors loses some, or pairs the wrong ones."""

    summary: ClassVar[str] = "Fewer vectors than inputs (the last ones are missing), or more (the last one again)."
    by: Annotated[int, Param("how many more; negative: fewer", "vectors", least=-2048, most=2048)] = -1

    def __post_init__(self) -> None:
        if self.by == 0:
            raise ValueError("by must not be 0, or there would be no mismatch")

    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:  # noqa: ARG002 - nothing is drawn
        """Other items, numbered on."""
        vectors = list(answer.vectors)
        count = max(0, len(vectors) + self.by)
        vectors = vectors[:count] + vectors[-1:] * (count - len(vectors))
        indices = [*answer.indices[:count], *range(len(answer.indices), count)]
        return replace(answer, vectors=vectors, indices=indices)


@FAULTS.register("embedding_order_mismatch")
@dataclass(kw_only=True)
class EmbeddingOrderMismatch(_WrongVectors):
    """Vectors meet the wrong inputs, and nothing fails."""

    summary: ClassVar[str] = "The items come in another order than the inputs (`index` tells the truth), or their `index` lies."
    how: Annotated[Literal["order", "index"], Param("which")] = "order"

    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:
        """Items turned by a number of places that is drawn, so that none stays where it was."""
        count = len(answer.vectors)
        if count < 2:
            return answer
        turn = rng.randrange(1, count)
        indices = _turned(answer.indices, turn)
        if self.how == "index":
            return replace(answer, indices=indices)
        return replace(answer, vectors=_turned(answer.vectors, turn), indices=indices)


def _turned(items: Sequence[Any], places: int) -> list[Any]:
    return [*items[places:], *items[:places]]


@FAULTS.register("embedding_other_space")
@dataclass(kw_only=True)
class EmbeddingOtherSpace(_WrongEach):
    """The model was swapped silently: vectors agree among themselves, but not with those that are stored."""

    summary: ClassVar[str] = (
        "Vectors of another space of the same dimension: norms and mutual distances stay, neighbours among older vectors are lost."
    )
    space: Annotated[int, Param("which; equal numbers give the same space in every process", least=0)] = 0

    def vector(self, vector: Vector) -> Vector:
        """Coordinates permuted and signs flipped, which is orthogonal."""
        places, signs = _space(len(vector), self.space)
        return vector[places] * signs


@lru_cache(maxsize=32)
def _space(dimensions: int, number: int) -> tuple[NDArray[np.intp], Vector]:
    rng = np.random.default_rng([dimensions, number])
    return rng.permutation(dimensions), rng.choice(np.array([-1.0, 1.0], np.float32), dimensions)


@FAULTS.register("embedding_format_mismatch")
@dataclass(kw_only=True)
class EmbeddingFormatMismatch(_WrongVectors):
    """Servers that do not know `encoding_format` answer floats; others answer base64 unasked."""

    summary: ClassVar[str] = "Floats where base64 was asked for, base64 where floats were."

    def changed(self, answer: EmbeddingAnswer, rng: Random) -> EmbeddingAnswer:  # noqa: ARG002 - nothing is drawn
        """The other encoding."""
        return replace(answer, as_base64=not answer.as_base64)
