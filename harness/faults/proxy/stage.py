"""One fault on one direction of one connection: shapes what comes, keeps its order, and lets nothing go before it is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from harness.faults.proxy.alarm import Alarm
from harness.faults.proxy.piece import Ending, Piece, Toxic
from harness.faults.proxy.table import Entry

Forward = Callable[[Piece], None]


class Stage:
    """Stages follow one another in the order in which their faults were put; each passes on to the next, the last one to the socket.

    What it passes on keeps the moment at which it was due, so that the loop's lateness does not add up from stage to stage.
    """

    __slots__ = ("_alarm", "_queue", "_shaper", "_touched", "entry", "forward", "held_bytes", "toxic")

    def __init__(self, entry: Entry, toxic: Toxic, forward: Forward) -> None:
        self.entry = entry
        self.toxic = toxic
        self.forward = forward
        self.held_bytes = 0
        self._shaper = toxic.shaper(entry.random)
        self._queue: deque[Piece] = deque()
        self._alarm = Alarm(self._release)
        self._touched = False

    def take(self, piece: Piece) -> None:
        """What comes now."""
        shaped = tuple(self._shaper(piece))
        if shaped != (piece,):
            self._count(piece)
        for one in shaped:
            earliest_s = self._queue[-1].due_s if self._queue else 0.0  # nothing overtakes what came before
            self._queue.append(one if one.due_s >= earliest_s else one._replace(due_s=earliest_s))
            self.held_bytes += len(one.data)
        self._release()

    def greet(self) -> None:
        """The connection was open when the fault came."""
        ending = self.toxic.greeting(self.entry.random)
        if ending is not None:
            self._count(Piece(0.0, b"", ending))
            self.forward(Piece(monotonic(), b"", ending))

    def dissolve(self) -> None:
        """The fault is taken away: what it holds back leaves at once, or the connection ends."""
        self._alarm.cancel()
        now_s = monotonic()
        if self._touched and self.toxic.farewell is not None:
            self._queue.clear()
            self._queue.append(Piece(now_s, b"", self.toxic.farewell))
        while self._queue:
            self.forward(self._queue.popleft()._replace(due_s=now_s))
        self.held_bytes = 0

    def close(self) -> None:
        """Forget everything."""
        self._alarm.cancel()
        self._queue.clear()
        self.held_bytes = 0

    def _release(self) -> None:
        queue, now_s = self._queue, monotonic()
        while queue and queue[0].due_s <= now_s:
            piece = queue.popleft()
            self.held_bytes -= len(piece.data)
            self.forward(piece)
        if queue:
            self._alarm.set(queue[0].due_s)

    def _count(self, piece: Piece) -> None:
        entry = self.entry
        if not self._touched:
            self._touched = True
            entry.connections += 1
        if piece.data or piece.ending in (Ending.RST, Ending.CLOSE):
            entry.chunks += 1
            entry.bytes += len(piece.data)
