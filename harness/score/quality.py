"""Answer quality without a judge model: document ids, canary facts, refusals, citations, the `degraded` flag.

Each function maps request rows to one score in 0..1 per row, NaN where the row says nothing about it. Only rows that asked a question
(`question >= 0`) come in. A request that failed scores 0 wherever an answer was owed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.history import Question
from harness.record.requests import NOTHING, SOURCES_KEPT, Outcome

Rows = NDArray[Any]
Scores = NDArray[np.float64]
_NO_DOCUMENT = -9  # padding of the gold table; no row holds it


@dataclass(frozen=True)
class QuestionTable:
    """The truth about the questions as arrays, for whole columns at once."""

    ids: NDArray[np.int64]  # ascending
    answerable: NDArray[np.bool_]
    gold: NDArray[np.int64]  # documents that hold the answer, padded
    gold_count: NDArray[np.int64]

    @classmethod
    def build(cls, questions: Mapping[int, Question]) -> QuestionTable:
        ordered = [questions[i] for i in sorted(questions)]
        width = max((len(q.gold) for q in ordered), default=0)
        gold = np.full((len(ordered), max(1, width)), _NO_DOCUMENT, dtype=np.int64)
        for row, question in enumerate(ordered):
            gold[row, : len(question.gold)] = sorted(question.gold)
        return cls(
            ids=np.array([q.id for q in ordered], dtype=np.int64),
            answerable=np.array([q.answerable for q in ordered], dtype=np.bool_),
            gold=gold,
            gold_count=np.array([len(q.gold) for q in ordered], dtype=np.int64),
        )

    def find(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Place in the table of each row's question, and whether it is there at all."""
        if len(self.ids) == 0:
            return np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.bool_)
        asked = rows["question"].astype(np.int64)
        place = np.minimum(np.searchsorted(self.ids, asked), len(self.ids) - 1)
        return place, self.ids[place] == asked


def answered(rows: Rows, table: QuestionTable) -> Scores:
    """1 for the canary of an answerable question, or a refusal of one that has no answer; NaN for one that has neither canary nor truth."""
    answerable, known = _answerable(rows, table)
    served = rows["outcome"] == Outcome.OK
    right = np.where(answerable, rows["canary"] == 1, rows["refused"] == 1)
    scores: Scores = (served & right).astype(np.float64)
    scores[~known | (served & answerable & (rows["canary"] == -1))] = np.nan
    return scores


def wrong(rows: Rows, table: QuestionTable) -> Scores:
    """1 for a wrong answer: the question is answerable, the request ended `ok`, and the text neither holds the canary nor refuses.

    NaN where no answer was given, or there is no canary to compare with. Refusals are 0: not helpful, but not wrong.
    """
    answerable, known = _answerable(rows, table)
    comparable = known & answerable & (rows["outcome"] == Outcome.OK) & (rows["canary"] != -1)
    scores: Scores = (comparable & (rows["canary"] == 0) & (rows["refused"] != 1)).astype(np.float64)
    scores[~comparable] = np.nan
    return scores


def recall_at(k: int) -> Callable[[Rows, QuestionTable], Scores]:
    """Share of the gold documents among the first k sources."""

    def scores(rows: Rows, table: QuestionTable) -> Scores:
        hits, gold_count = _first_hits(rows, table)
        return _ratio(hits[:, :k].sum(axis=1).astype(np.float64), gold_count.astype(np.float64))

    return scores


def ndcg_at(k: int) -> Callable[[Rows, QuestionTable], Scores]:
    """Discounted gain of gold documents (each counted once, at its best rank) over that of the ideal ranking."""
    discounts = np.array([1.0 / math.log2(rank + 2) for rank in range(SOURCES_KEPT)])
    ideals = np.cumsum(discounts)

    def scores(rows: Rows, table: QuestionTable) -> Scores:
        hits, gold_count = _first_hits(rows, table)
        best = np.where(gold_count > 0, ideals[np.clip(gold_count, 1, k) - 1], 0.0)
        return _ratio((hits[:, :k] * discounts[:k]).sum(axis=1), best)

    return scores


def reciprocal_rank(rows: Rows, table: QuestionTable) -> Scores:
    """1 / rank of the first gold document; 0 when none is among the sources."""
    hits, gold_count = _first_hits(rows, table)
    found = hits.any(axis=1)
    scores: Scores = np.where(found, 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)
    scores[gold_count == 0] = np.nan
    return scores


def degraded(rows: Rows, _table: QuestionTable) -> Scores:
    """1 for an answer that says it is degraded; NaN without an answer or a flag."""
    scores: Scores = (rows["degraded"] == 1).astype(np.float64)
    scores[(rows["outcome"] != Outcome.OK) | (rows["degraded"] == -1)] = np.nan
    return scores


def degraded_honest(rows: Rows, _table: QuestionTable) -> Scores:
    """1 where the `degraded` flag agrees with the path that served the answer.

    Another model than the preferred one must be flagged. An answer that is flagged although the preferred model wrote it counts neither
    way: an earlier part of the path (retrieval, a stale cache) may have been replaced, which the client cannot see; `degraded` bounds it.
    """
    by_preferred = rows["preferred"] == 1
    scores: Scores = np.where(by_preferred, rows["degraded"] == 0, rows["degraded"] == 1).astype(np.float64)
    unknown = (rows["outcome"] != Outcome.OK) | (rows["preferred"] == -1) | (by_preferred & (rows["degraded"] != 0))
    scores[unknown] = np.nan
    return scores


def citations_valid(rows: Rows, _table: QuestionTable) -> Scores:
    """1 for an answer that cites at least one document and only documents among its own sources; NaN for refusals and failures."""
    citations = rows["citations"]
    given = citations != NOTHING
    among = (citations[:, :, None] == rows["sources"][:, None, :]).any(axis=2) & (citations >= 0)
    scores: Scores = (given.any(axis=1) & (among | ~given).all(axis=1)).astype(np.float64)
    scores[(rows["outcome"] != Outcome.OK) | (rows["refused"] == 1)] = np.nan
    return scores


def _answerable(rows: Rows, table: QuestionTable) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    place, known = table.find(rows)
    return (table.answerable[place] & known if len(table.ids) else known), known


def _first_hits(rows: Rows, table: QuestionTable) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Where each gold document stands first among the sources, and how many gold ones there are; chunks of one document count once.

    Zero gold documents (unanswerable or unknown question) mean: not applicable. A failed request has no hits.
    """
    place, known = table.find(rows)
    if len(table.ids) == 0:
        return np.zeros((len(rows), SOURCES_KEPT), dtype=np.bool_), np.zeros(len(rows), dtype=np.int64)
    sources = rows["sources"].astype(np.int64)
    hits = (sources[:, :, None] == table.gold[place][:, None, :]).any(axis=2)
    for rank in range(1, SOURCES_KEPT):
        hits[:, rank] &= ~(sources[:, :rank] == sources[:, rank : rank + 1]).any(axis=1)
    hits &= (rows["outcome"] == Outcome.OK)[:, None]
    return hits, np.where(known & table.answerable[place], table.gold_count[place], 0)


def _ratio(part: Scores, whole: Scores) -> Scores:
    shares: Scores = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares
