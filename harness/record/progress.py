"""How far a long piece of work has come: told by whoever does it, to whoever wants to know."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of one stage after the other, from one thread at a time. Must return at once: it is called in the middle of the work."""

    def begin(self, stage: str, total: int, /) -> None:
        """A stage begins, and the one before it is over. `total` is what there is to do, in a unit of its own; 0: nobody knows."""
        ...

    def advance(self, done: int, /) -> None:
        """So much more of the stage is done."""
        ...


class Untold:
    """A `Progress` that nobody listens to."""

    def begin(self, _stage: str, _total: int, /) -> None:
        return

    def advance(self, _done: int, /) -> None:
        return


UNTOLD = Untold()
