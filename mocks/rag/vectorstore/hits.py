"""Which hits of a store can be used: one broken point must not cost the whole answer, nor reach it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import VECTOR_REJECTED
from mocks.rag.vectorstore.base import Result
from mocks.rag.vectorstore.points import Hit

Reason = Literal["score", "payload", "oversize", "duplicate", "superseded"]


_SCORE_MAX = 1.001
"""A cosine similarity, and room for a store that computes with half the digits."""


_TEXT_CHARS_MAX = 201_000
"""No chunk is longer than the longest upload; what is would only swell the prompt and its bill."""


class _Sound(NamedTuple):
    result: Result
    revision: int


def accepted(hits: Sequence[Hit]) -> list[Result]:
    """The usable hits as results, best first.

    Rejected, counted in `rag_vector_rejected_total` and logged: a `score` that is no cosine similarity (NaN, null, 7), a `payload` lacking
    what an answer needs, one that is `oversize`, a `duplicate` of a better one, and one `superseded` by a newer revision of its document
    (which is just being replaced).
    """
    rejected: Counter[Reason] = Counter()
    sound: list[_Sound] = []
    for hit in hits:
        looked = _look(hit)
        if isinstance(looked, str):
            rejected[looked] += 1
        else:
            sound.append(looked)
    newest: dict[str, int] = {}
    for result, revision in sound:
        newest[result["doc_id"]] = max(revision, newest.get(result["doc_id"], revision))
    kept: dict[str, Result] = {}
    for result, revision in sorted(sound, key=lambda found: -found.result["score"]):
        if revision < newest[result["doc_id"]]:
            rejected["superseded"] += 1
        elif result["chunk_id"] in kept:
            rejected["duplicate"] += 1
        else:
            kept[result["chunk_id"]] = result
    _report(rejected, len(kept))
    return list(kept.values())


def _look(hit: Hit) -> _Sound | Reason:
    """The hit as a result, or why it is none."""
    if type(hit.score) not in (int, float) or not abs(hit.score) <= _SCORE_MAX:  # NaN is not
        return "score"
    payload = hit.payload
    if not isinstance(payload, Mapping):
        return "payload"
    doc_id, chunk_id, text, revision = (payload.get(name) for name in ("doc_id", "chunk_id", "text", "revision"))
    if not all(isinstance(word, str) and word for word in (doc_id, chunk_id, text)) or type(revision) is not int:
        return "payload"
    if len(str(text)) > _TEXT_CHARS_MAX:
        return "oversize"
    return _Sound({"doc_id": str(doc_id), "chunk_id": str(chunk_id), "text": str(text), "score": round(float(hit.score), 6)}, revision)


def _report(rejected: Counter[Reason], kept: int) -> None:
    for reason, count in rejected.items():
        VECTOR_REJECTED.labels(reason).inc(count)
    if rejected:
        get_logger("vector").warning("hits rejected", kept=kept, rejected=dict(rejected))
