"""What a mock's journal tells of everybody but ourselves: whether a fault has hit anybody at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from harness.record.provider import OWN_USER_AGENT

JOURNAL_PATH = "/admin/journal"
MOST_ROWS = 500
RECENTLY_S = 10.0


class Call(Protocol):
    """The admin API of one mock."""

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any: ...


class Callers:
    """Requests of others, from `start` on, that one fault has changed."""

    def __init__(self, call: Call, fault_id: str) -> None:
        self._call = call
        self._fault_id = fault_id
        self._cursor = 0
        self._hit = 0

    def start(self) -> None:
        """Count from here."""
        self._cursor, self._hit = int(self._call("GET", f"{JOURNAL_PATH}?limit=0")["next"]), 0

    def hit(self) -> int:
        """How many so far, those included that are still being answered."""
        page = self._call("GET", f"{JOURNAL_PATH}?after={self._cursor}&limit={MOST_ROWS}&open=true")
        self._cursor = int(page["next"])
        self._hit += self._count(page["requests"])
        return self._hit + self._count(page["open"])

    def recent(self) -> int:
        """How many requests of others came in the seconds before the latest one of all."""
        rows = self._call("GET", f"{JOURNAL_PATH}?limit={MOST_ROWS}")["requests"]
        since_s = max((row["arrived_s"] for row in rows), default=0.0) - RECENTLY_S
        return sum(row["arrived_s"] >= since_s for row in _of_others(rows))

    def _count(self, rows: Iterable[Mapping[str, Any]]) -> int:
        return sum(any(fault["id"] == self._fault_id for fault in row["faults"]) for row in _of_others(rows))


def _of_others(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["user_agent"] != OWN_USER_AGENT]
