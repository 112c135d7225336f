"""Faults of a provider's vectors: late, refused, or wrong in shape, in order, in value, or in what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm import SWITCHED_AWAY
from harness.faults.llm_answers import floats, indices_of, vectors_of
from harness.faults.llm_probe import EMBED, LlmProbe
from harness.faults.programmed.fault import fault_classes
from harness.faults.programmed.match import LlmMatch
from harness.faults.programmed.row import Family, Row, Sees, View
from harness.faults.programmed.sees import refusal, slower_by, whole_time
from harness.faults.programmed.settings import Setting, choice, duration, number, whole

INPUTS = 3
MOST_INPUTS = 512
SAME = 0.999
"""Of two vectors that point the same way, the least cosine."""


def _vectors(view: View) -> list[Sequence[float]]:
    return [floats(one) for one in vectors_of(view.last)] if view.last.good else []


def _norm(vector: Sequence[float]) -> float:
    return math.sqrt(sum(one * one for one in vector))


def _each(shows: Callable[[Sequence[float], View], Any]) -> Sees:
    """Something that is so of every vector."""

    def sees(view: View) -> Evidence | None:
        told = [shows(one, view) for one in _vectors(view) if one]
        return {"vectors": len(told), "found": told[0]} if told and all(told) else None

    return sees


def _of_length(vector: Sequence[float], view: View) -> Any:
    healthy = _healthy_first(view)
    wanted = view.document["dimensions"]
    return len(vector) == wanted and (not healthy or len(healthy) != wanted) and f"{wanted} coordinates"


def _zero(vector: Sequence[float], _view: View) -> Any:
    return not any(vector) and "a norm of 0"


def _not_finite(vector: Sequence[float], view: View) -> Any:
    test = math.isnan if view.document["value"] == "nan" else math.isinf
    return any(map(test, vector)) and f"a coordinate that is {view.document['value']}"


def _scaled(vector: Sequence[float], view: View) -> Any:
    norm, wanted = _norm(vector), float(view.document["scale"])
    return math.isclose(norm, wanted, rel_tol=0.01) and f"a norm of {norm:.3g}"


def _miscounted(view: View) -> Evidence | None:
    count = len(vectors_of(view.last))
    wanted = max(0, INPUTS + int(view.document["by"]))
    return {"inputs": INPUTS, "vectors": count} if view.last.good and count == wanted else None


def _misplaced(view: View) -> Evidence | None:
    """The vector of the first input, which is always the same, in another place: `index` tells so, or hides it."""
    first, vectors, indices = _healthy_first(view), _vectors(view), indices_of(view.last)
    if not first or len(vectors) != INPUTS:
        return None
    at = next((place for place, one in enumerate(vectors) if _cosine(one, first) >= SAME), None)
    ordered = view.document["how"] == "index"
    wrong = at is not None and (at == 0) is ordered and (indices[at] == 0) is not ordered
    return {"first_input_at": at, "indices": str(indices)} if wrong else None


def _elsewhere(view: View) -> Evidence | None:
    """As long as before, and another direction."""
    first, vectors = _healthy_first(view), _vectors(view)
    if not first or not vectors or len(vectors[0]) != len(first):
        return None
    cosine, norm = _cosine(vectors[0], first), _norm(vectors[0])
    moved = abs(cosine) < 0.5 and math.isclose(norm, _norm(first), rel_tol=0.01)
    return {"cosine_to_before": cosine, "norm": norm} if moved else None


def _other_format(view: View) -> Evidence | None:
    found = vectors_of(view.last)
    return {"vectors": len(found), "format": "base64"} if found and all(isinstance(one, str) for one in found) else None


def _healthy_first(view: View) -> Sequence[float]:
    healthy = view.healthy_last
    return floats(vectors_of(healthy)[0]) if healthy is not None and vectors_of(healthy) else ()


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        return 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / ((_norm(one) * _norm(other)) or 1.0)


def _row(type_: str, kind: str, does: str, shows: str, sees: Sees, *settings: Setting, **more: Any) -> Row:
    return Row(type_, kind, does, f"the harness's own request for vectors {shows}", sees, (EMBED,), settings, **more)


FAMILY = Family("embedding", ("llm",), "llm", LlmMatch, LlmProbe, prefix="embedding_", recoverable_by=SWITCHED_AWAY)
ROWS = (
    _row(
        "embedding_batch_limit",
        "errors",
        "400 to more than that many inputs at once.",
        "with more inputs is refused",
        refusal(400, "array"),
        whole("most", "inputs taken at once", "inputs", 16, ge=1, le=MOST_INPUTS - 1),
        how=lambda document: {"inputs": int(document["most"]) + 1},
    ),
    _row(
        "embedding_slow_batch",
        "latency",
        "Vectors are late by that much for every input.",
        "takes that much longer",
        slower_by(lambda document: INPUTS * float(document["per_input_s"]), whole_time),
        duration("per_input", "for each input", "50ms", ge=0.02, le=10),
        how=lambda document: {"late_s": INPUTS * document["per_input_s"]},
        example={"per_input": "200ms"},
    ),
    _row(
        "embedding_wrong_dimension",
        "data",
        "Vectors of another number of coordinates, whatever was asked.",
        "gets as many",
        _each(_of_length),
        whole("dimensions", "how many coordinates", "coordinates", ge=1, le=16_384),
        example={"dimensions": 256},
    ),
    _row("embedding_zero", "data", "Vectors of zeros.", "gets vectors of norm 0", _each(_zero)),
    _row(
        "embedding_nan",
        "data",
        "The first coordinate of every vector is NaN or infinite; as floats, in bare words that no JSON has.",
        "gets such vectors",
        _each(_not_finite),
        choice("value", "which", ("nan", "inf")),
    ),
    _row(
        "embedding_not_normalised",
        "data",
        "Vectors of another norm than 1: whoever takes the inner product for the cosine ranks by length.",
        "gets vectors of that norm",
        _each(_scaled),
        number("scale", "the norm; not 1", "norm", 3.7, ge=1.1, le=1000),
    ),
    _row(
        "embedding_count_mismatch",
        "data",
        "Fewer vectors than inputs (the last ones are missing), or more (the last one again).",
        "gets another number of them",
        _miscounted,
        whole("by", "how many more; negative: fewer", "vectors", -1, ge=-2048, le=2048),
        refuses=lambda document: "" if document["by"] else "by: 0 is no mismatch; write -1 for one vector too few",
    ),
    _row(
        "embedding_order_mismatch",
        "data",
        "Vectors come in another order than the inputs (`index` tells the truth), or their `index` lies.",
        "gets its first vector in another place",
        _misplaced,
        choice("how", "another order, or an index that lies", ("order", "index")),
    ),
    _row(
        "embedding_other_space",
        "data",
        "Vectors of another space of the same dimension, as after a silent change of the model.",
        "gets another vector for the same text than before, of the same norm",
        _elsewhere,
        whole("space", "which; equal numbers give the same space", "number", 0, ge=0),
    ),
    _row(
        "embedding_format_mismatch",
        "data",
        "Floats where base64 was asked for, base64 where floats were.",
        "gets text where it asked for numbers",
        _other_format,
    ),
)
FAULTS = fault_classes(FAMILY, ROWS)
