"""The outcome of a check, and how a scorer that raises becomes INCONCLUSIVE rather than a lost run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.record.history import History
from harness.scenario.model import Scenario


class Status(StrEnum):
    """FAIL > INCONCLUSIVE > WARN > PASS when results merge."""

    PASS = "PASS"
    WARN = "WARN"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"


_ORDER = {Status.PASS: 0, Status.WARN: 1, Status.INCONCLUSIVE: 2, Status.FAIL: 3}


@dataclass(frozen=True, slots=True)
class Result:
    """One check. `value` and `limit` are in `unit`; `interval` is a 95 % bound of the value where one is defined."""

    name: str  # `fault.availability`, `expect.slow-llm.alert`, `validity.delivered_load`
    group: str  # validity | objective | expect | safety
    status: Status
    reason: str
    value: float | str | None = None
    limit: str | None = None
    unit: str = ""
    samples: int | None = None
    interval: tuple[float, float] | None = None
    evidence: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """A stable, JSON-ready document."""
        return {
            "name": self.name,
            "group": self.group,
            "status": self.status.value,
            "value": self.value,
            "limit": self.limit,
            "unit": self.unit,
            "samples": self.samples,
            "interval": list(self.interval) if self.interval else None,
            "reason": self.reason,
            "evidence": list(self.evidence),
        }


Check = Callable[[History, Scenario], Iterable[Result]]


def severity(status: Status) -> int:
    """A rank: the larger, the worse."""
    return _ORDER[status]


def merge(statuses: Iterable[Status]) -> Status:
    """The worst of them; nothing asserted is INCONCLUSIVE."""
    return max(statuses, key=severity, default=Status.INCONCLUSIVE)


def run_safely(name: str, check: Check, history: History, scenario: Scenario) -> list[Result]:
    """Run one scorer; an exception becomes one INCONCLUSIVE result that names it."""
    try:
        return list(check(history, scenario))
    except Exception as error:  # noqa: BLE001  # whatever a scorer raises must not lose the run, nor pass it
        reason = f"scorer crashed: {type(error).__name__}: {error}"
        return [Result(name=f"{name}.crashed", group="validity", status=Status.INCONCLUSIVE, reason=reason)]
