"""What request rows need beside them to be read: names, and truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.record.gaps import Gaps
from harness.record.history import History, Question
from harness.record.pieces import Rows
from harness.scenario.arrivals import JOURNEYS_OF
from harness.score.quality import QuestionTable


@dataclass(frozen=True)
class Context:
    """What rows need to be read: the names behind the journey numbers, and the truth about the questions."""

    journeys: tuple[str, ...] = ()
    questions: Mapping[int, Question] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=Gaps)

    @classmethod
    def of(cls, history: History) -> Context:
        """Of one record, made once: its table of questions is looked into for every SLI."""
        return history.once(("context",), lambda: cls(history.journeys, history.questions, history.gaps))

    @cached_property
    def table(self) -> QuestionTable:
        return QuestionTable.build(self.questions)

    def counted(self, rows: Rows, family: str) -> Rows:
        """The rows of those journeys that an SLI of the family is computed from."""
        wanted = JOURNEYS_OF.get(family)
        if wanted is None:
            return rows
        kept: Rows = rows[np.isin(rows["journey"], [n for n, name in enumerate(self.journeys) if name in wanted])]
        return kept
