"""What every renderer is given, and the readings of it that several of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.gate import Verdict
from harness.record.history import History
from harness.scenario.model import Scenario
from harness.score.check import Result, Status
from harness.score.show import show

_WORST_FIRST = {Status.FAIL: 0, Status.INCONCLUSIVE: 1, Status.WARN: 2, Status.PASS: 3}
_GROUP_ORDER = ("validity", "safety", "expect", "objective", "burn_rate", "probe", "reliability", "containment")
GROUP_TITLES: Mapping[str, str] = {
    "validity": "Can the run be judged?",
    "safety": "Was everything put back?",
    "expect": "Operator and outcome",
    "objective": "Service level objectives",
    "burn_rate": "Error budgets",
    "probe": "Probes",
    "reliability": "Availability by its parts",
    "compare": "Candidate against base",
    "containment": "Did anything outside the blast radius suffer?",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True)
class Material:
    """One judged run."""

    verdict: Verdict
    history: History
    scenario: Scenario

    def seconds(self, t_ns: int | None) -> float | None:
        """Seconds from the start of the first phase; negative before it."""
        return None if t_ns is None else (t_ns - self.history.start_ns) / 1e9

    @property
    def seed(self) -> int:
        """The seed that the run was made with, which may not be the file's."""
        return int(self.history.run.get("seed", self.scenario.seed))

    @property
    def command(self) -> str:
        """What repeats the run."""
        file = self.history.run.get("scenario_file") or f"{self.scenario.name}.yaml"
        baseline = dig(self.history.run, "baseline", "path")
        against = f" --baseline {_quoted(str(baseline))}" if baseline else ""
        return f"gauntlet run {_quoted(str(file))} --seed {self.seed}{against}"


def by_severity(results: Sequence[Result]) -> list[Result]:
    """Failed first, then inconclusive; within a status by group, in the order of the scorers."""
    return sorted(results, key=lambda r: (_WORST_FIRST[r.status], _group_rank(r.group)))


def groups(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    """(title, results) of each group that has any; a group with a failure first, and failed checks first in each."""
    names = sorted({r.group for r in results}, key=_group_rank)
    found = [(GROUP_TITLES.get(name, clean(name)), by_severity([r for r in results if r.group == name])) for name in names]
    return sorted(found, key=lambda group: _WORST_FIRST[group[1][0].status])


def counts(results: Sequence[Result]) -> str:
    """`2 failed, 1 inconclusive, 14 passed`."""
    words = ((Status.FAIL, "failed"), (Status.INCONCLUSIVE, "inconclusive"), (Status.WARN, "with a warning"), (Status.PASS, "passed"))
    parts = [f"{n} {word}" for status, word in words if (n := sum(r.status is status for r in results))]
    return ", ".join(parts) or "no checks"


def told_once(results: Sequence[Result]) -> list[tuple[Result, str]]:
    """Each result with its reason; one that repeats the reason of the result before says so instead."""
    reasons = [clean(r.reason) for r in results]
    return [(r, "as above" if n and reasons[n] == reasons[n - 1] else reasons[n]) for n, r in enumerate(results)]


def shown_value(result: Result) -> str:
    """The value with its unit; empty where nothing was measured."""
    return "" if result.value is None else show(result.value, result.unit)


def clean(text: object) -> str:
    """Text on one line, without control or direction characters: claims come from outside and may hold anything."""
    return _CONTROL.sub(" ", str(text)).strip()


def dig(document: Mapping[str, Any], *keys: str) -> Any:
    """A nested entry of a document that may lack any part of it."""
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _group_rank(name: str) -> int:
    return _GROUP_ORDER.index(name) if name in _GROUP_ORDER else len(_GROUP_ORDER)


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./+-]+", text) else "'" + text.replace("'", "'\\''") + "'"
