"""Requests of one route, service or tenant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.record.pieces import Change, Requests, Rows
from harness.scenario.indicator import Scope
from harness.scenario.model import Scenario
from harness.scenario.paths import journeys_of


def belonging(requests: Requests, scope: Scope | None, scenario: Scenario, journeys: Sequence[str]) -> Requests:
    """The requests of a scope, all of them without one; `journeys` are the names behind the numbers in the rows."""
    return requests if scope is None else requests.through(scoped(scope, scenario, journeys))


def scoped(scope: Scope | None, scenario: Scenario, journeys: Sequence[str]) -> Change:
    """The same for rows in memory."""
    if scope is None:
        return lambda rows: rows
    names = journeys_of(scope, scenario, journeys)
    numbers = [n for n, name in enumerate(journeys) if name in names]

    def kept(rows: Rows) -> Rows:
        found: Rows = rows[np.isin(rows["journey"], numbers)]
        return found

    return kept
