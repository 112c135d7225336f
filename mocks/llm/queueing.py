"""How many answers are generated at once; who comes while all places are taken waits in line."""

from collections.abc import Callable


class Slots:
    """At most `most` at once (None: any number), first come, first served."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.running = 0
        self._line: dict[Place, None] = {}
        self._advancing = False

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    def change(self, most: int | None) -> None:
        """Another number from now on; those who run beyond it finish."""
        self._most = most
        self._advance()

    def join(self, place: "Place") -> None:
        """For `Place.enter`."""
        if not self._line and self._has_room():
            self._start(place)
        else:
            self._line[place] = None
            self._advance()

    def free(self, place: "Place") -> None:
        """For `Place.leave`."""
        if place.running:
            place.running = False
            self.running -= 1
            if self._line:
                self._advance()
        else:
            self._line.pop(place, None)

    def _advance(self) -> None:
        """Start who may start. Who leaves while starting is followed in the same loop: a long line must not become a deep stack."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._line and self._has_room():
                place = next(iter(self._line))
                del self._line[place]
                self._start(place)
        finally:
            self._advancing = False

    def _has_room(self) -> bool:
        return self._most is None or self.running < self._most

    def _start(self, place: "Place") -> None:
        self.running += 1
        place.running = True
        start, place.start = place.start, _nothing  # whom it belongs to refers to it: not in a circle any longer
        start()


def _nothing() -> None:
    pass


class Place:
    """A place in generation, or in the line for one; `start` is called, at once or later, when generation may begin."""

    __slots__ = ("_slots", "running", "start")

    def __init__(self, slots: Slots, start: Callable[[], None]) -> None:
        self._slots = slots
        self.start = start
        self.running = False

    def enter(self) -> None:
        """Get in line."""
        self._slots.join(self)

    def leave(self) -> None:
        """Give it up, whether running or waiting; the next in line moves up. A second time changes nothing."""
        self._slots.free(self)
