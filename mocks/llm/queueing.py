"""How many answers are generated at once; who comes while all places are taken waits in line."""

from typing import Protocol


class Claimant(Protocol):
    """Who wants a place: `running` says that it has one, and `start` is called when it gets one after having waited."""

    running: bool

    def start(self) -> None: ...


class Slots:
    """At most `most` at once (None: any number), first come, first served."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.running = 0
        self._line: dict[Claimant, None] = {}
        self._advancing = False

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    def change(self, most: int | None) -> None:
        """Another number from now on; those who run beyond it finish."""
        self._most = most
        self._advance()

    def enter(self, claimant: Claimant) -> bool:
        """Take a place, and return true; or get in line."""
        if self._line or not self._has_room():
            self._line[claimant] = None
            return False
        self.running += 1
        claimant.running = True
        return True

    def leave(self, claimant: Claimant) -> None:
        """Give the place up, or the one in line; the next in line moves up. A second time changes nothing."""
        if claimant.running:
            claimant.running = False
            self.running -= 1
            if self._line:
                self._advance()
        else:
            self._line.pop(claimant, None)

    def _advance(self) -> None:
        """Start who may start. Who leaves while starting is followed in the same loop: a long line must not become a deep stack."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._line and self._has_room():
                claimant = next(iter(self._line))
                del self._line[claimant]
                self.running += 1
                claimant.running = True
                claimant.start()
        finally:
            self._advancing = False

    def _has_room(self) -> bool:
        return self._most is None or self.running < self._most
