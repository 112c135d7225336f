"""Shuts a mock's port while a fault says that connections are refused, and opens it when that ends, by itself too."""

from collections.abc import Callable
from typing import Any, Protocol

from mocks.faults.table import FaultTable


class Timer(Protocol):
    """A callback that is due later (`asyncio.TimerHandle`)."""

    def cancel(self) -> None:
        """Forget it."""


class Door:
    """Follows the table from now on. `at(moment_s, callback)` calls back at a moment of the table's clock (`loop.call_at`).

    `refuse` and `accept` are the server's; they are called only where something changes.
    """

    def __init__(
        self,
        table: FaultTable[Any],
        at: Callable[[float, Callable[[], None]], Timer],
        refuse: Callable[[], None],
        accept: Callable[[], None],
    ) -> None:
        self._table = table
        self._at = at
        self._refuse = refuse
        self._accept = accept
        self._shut = False
        self._timer: Timer | None = None
        table.on_change(self._follow)
        self._follow()

    def _follow(self) -> None:
        # The next moment first: one that passes between the two looks at the clock is then followed at once, and not missed.
        moment_s = self._table.next_change_s()
        shut = self._table.refusing()  # may find that a fault has ended, and so come here a second time
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if shut is not self._shut:
            self._shut = shut
            (self._refuse if shut else self._accept)()
        if moment_s is not None:
            self._timer = self._at(moment_s, self._follow)
