"""The only judging done while a run is live. It can stop a run, and what it stops is at best INCONCLUSIVE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from harness.record.clock import NS_PER_S
from harness.scenario.model import Scenario
from harness.score.context import Context
from harness.score.scopes import scoped
from harness.score.sli import held
from harness.score.spans import Span


@dataclass(frozen=True, slots=True)
class AbortWatch:
    """Evaluates the abort rules of a scenario on the recent requests."""

    scenario: Scenario
    context: Context

    @property
    def keep_s(self) -> float:
        """How far back the rules look."""
        return max((rule.for_s for rule in self.scenario.abort), default=0.0)

    def check(self, rows: NDArray[Any], start_ns: int, now_ns: int) -> dict[str, Any] | None:
        """The first rule that has held for its whole time, grace apart, since the start of the load; None when none has."""
        for rule in self.scenario.abort:
            of, limit = rule.condition
            span = Span(now_ns - round(rule.for_s * NS_PER_S), now_ns)
            if span.start_ns < start_ns + round(rule.grace * NS_PER_S):
                continue
            value = held(scoped(of.scope, self.scenario, self.context.journeys)(rows), of.sli, limit, self.context, span)
            if value is not None:
                return {"rule": f"{of.text} {limit.text}", "for_s": rule.for_s, "value": value}
        return None
