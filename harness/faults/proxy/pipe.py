"""One direction of a connection: what one socket reads is written to the other one, at once or when the faults in force let it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

from harness.faults.proxy.piece import HELD_BYTES_MAX, Ending, Piece
from harness.faults.proxy.stage import Stage
from harness.faults.proxy.table import Direction, Entry, FaultTable


class Pipe:
    """The stages of a direction, its two sockets, and how it ends: `on_ending` is told when an ending has been passed on."""

    def __init__(self, table: FaultTable, direction: Direction, on_ending: Callable[[Ending], None]) -> None:
        self._table = table
        self._direction: Direction = direction
        self._on_ending = on_ending
        self._stages: list[Stage] = []
        self._early: deque[Piece] | None = deque()  # what came before there was a sink
        self._holding: set[str] = set()
        self._closed = False
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.ended = False
        self.follow()

    @property
    def plain(self) -> bool:
        """Nothing is to be done but to write what was read."""
        return not self._stages and not self._early and self.sink is not None and not self.ended and not self._closed

    def feed(self, data: bytes, ending: Ending | None = None) -> None:
        """Take what was read; `ending` follows the data."""
        if self._stages:
            self._stages[0].take(Piece(monotonic(), data, ending))
            self._weigh()
        else:
            self._send(Piece(0.0, data, ending))

    def open_to(self, sink: asyncio.Transport) -> None:
        """What was read so far can leave now."""
        self.sink = sink
        early, self._early = self._early, None
        for piece in early or ():
            self._send(piece)
        self._weigh()

    def follow(self, *, greet: bool = False) -> None:
        """Have a stage for every fault in force: what those held back that were taken away leaves at once, through the others."""
        wanted = self._table.active(self._direction)
        if self._closed or [stage.entry for stage in self._stages] == list(wanted):
            return
        before = self._stages
        kept = [stage for stage in before if stage.entry in wanted]
        new = [self._stage(entry) for entry in wanted if entry not in [stage.entry for stage in kept]]
        self._stages = [*kept, *new]
        # The last ones first: what leaves a stage must find the next ones as they will be, and behind what they hold.
        for number, stage in enumerate(self._stages, start=1):
            stage.forward = self._stages[number].take if number < len(self._stages) else self._send
        for stage in reversed(before):
            if stage not in kept:
                stage.forward = self._entrance_behind(before, stage)
                stage.dissolve()
        for stage in new if greet else ():
            stage.greet()
        self._weigh()

    def hold_source(self, reason: str, hold: bool) -> None:
        """Stop reading while any reason holds: what waits in memory is bounded."""
        before = bool(self._holding)
        (self._holding.add if hold else self._holding.discard)(reason)
        after = bool(self._holding)
        if before == after or self.source is None or self.source.is_closing():
            return
        if after:
            self.source.pause_reading()
        else:
            self.source.resume_reading()

    def close(self) -> None:
        """Nothing can be sent any more: forget what waits; idempotent."""
        self._closed = True
        for stage in self._stages:
            stage.close()
        self._stages = []
        self._early = None
        self.hold_source("held", False)

    def _stage(self, entry: Entry) -> Stage:
        return Stage(entry, entry.toxics[self._direction], self._send)

    def _entrance_behind(self, before: list[Stage], gone: Stage) -> Callable[[Piece], None]:
        """Where that goes which a stage holds that is taken out: the next one that stays, else the first new one, else the socket."""
        for stage in before[before.index(gone) + 1 :]:
            if stage in self._stages:
                return stage.take
        new = [stage for stage in self._stages if stage not in before]
        return new[0].take if new else self._send

    def _weigh(self) -> None:
        """Let the sender wait while more is held back than the faults in force may hold."""
        held = sum(stage.held_bytes for stage in self._stages) + sum(len(piece.data) for piece in self._early or ())
        self.hold_source("held", held > min((stage.toxic.holds_bytes for stage in self._stages), default=HELD_BYTES_MAX))

    def _send(self, piece: Piece) -> None:
        sink = self.sink
        if self._early is not None:
            self._early.append(piece)
            return
        if sink is None or self.ended or self._closed or sink.is_closing():
            return
        if piece.data:
            sink.write(piece.data)
        if piece.ending is not None:
            self.ended = True
            if piece.ending is Ending.FIN:
                sink.write_eof()
            self._on_ending(piece.ending)
        if "held" in self._holding:
            self._weigh()
