"""What a rule sees, and what it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.signals import Signals
from harness.ops.monitoring.symptoms import Symptom
from harness.ops.monitoring.windows import Key, Windows


@dataclass(frozen=True, slots=True)
class View:
    """One moment: the round, what the window before it says, and what kind of thing each service is."""

    round_: Round
    signals: Signals
    windows: Windows
    kinds: Mapping[str, str]
    time_scale: float = 1.0

    @property
    def t_s(self) -> float:
        return self.signals.t_s

    def grown(self, name: str) -> Iterator[tuple[Key, float]]:
        """Growth of a counter over the window, by series."""
        return self.windows.increases(name, self.t_s, self.signals.window_s)

    def now(self, name: str) -> Iterator[tuple[Key, float]]:
        """The newest value of a gauge, by series; what was not looked at in this very round is left out."""
        return self.windows.latest(name, self.t_s, 0.0)


class Rule(Protocol):
    """Stateful: it is asked once a round, and learns what is usual from calm ones."""

    def look(self, view: View) -> Iterable[Symptom]: ...


class Streaks:
    """How many rounds in a row something has been so."""

    def __init__(self) -> None:
        self._rounds: dict[object, int] = {}

    def count(self, key: object, so: bool) -> int:
        """With this round; 0 when it is not so now."""
        self._rounds[key] = self._rounds.get(key, 0) + 1 if so else 0
        return self._rounds[key]
