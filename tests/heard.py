"""Whoever listens to the progress of long work, in tests."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heard:
    """Stages, each with its total and what was done of it."""

    stages: list[tuple[str, int]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    def begin(self, stage: str, total: int, /) -> None:
        self.stages.append((stage, total))
        self.done.append(0)

    def advance(self, done: int, /) -> None:
        self.done[-1] += done
