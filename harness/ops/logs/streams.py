"""Logs while they are written: the newest entries of each stream, in bounded buffers, over rotation and truncation."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.ops.logs.entries import STREAMS, Entry, Stream, entry_of
from harness.telemetry.logs import LogTail

KEPT = 1_000


class Streams:
    """Follows files. `poll` reads what was appended; at most one MiB a file and call, so a flood comes in pieces and blocks nobody."""

    def __init__(self, paths: Sequence[Path], from_end: bool = True, kept: int = KEPT) -> None:
        self.paths = tuple(paths)
        self._tails = [LogTail(path, from_end) for path in paths]
        self._kept: Mapping[Stream, deque[Entry]] = {stream: deque(maxlen=kept) for stream in STREAMS}
        self.seen: Counter[Stream] = Counter()

    def poll(self) -> list[Entry]:
        """The new entries, file by file."""
        new = [entry_of(line) for tail in self._tails for line in tail.read()]
        for entry in new:
            self._kept[entry.stream].append(entry)
            self.seen[entry.stream] += 1
        return new

    def newest(self, stream: Stream, most: int = KEPT) -> tuple[Entry, ...]:
        """The last `most` that are still kept, oldest first."""
        kept = self._kept[stream]
        return tuple(kept)[-most:] if most else ()

    def dropped(self) -> int:
        """Entries that the buffers could not keep."""
        return sum(self.seen.values()) - sum(len(one) for one in self._kept.values())
