"""Server-sent events as they come off the wire: the subset that token streams use (`data:` fields, comments, blank lines)."""

from __future__ import annotations

from collections.abc import Iterator


class EventStream:
    """The data of each whole event. Lines end in LF or CRLF; an event cut off by the end is none.

    Text is decoded per event, so a character split over network packets does no harm; invalid UTF-8 becomes U+FFFD.
    """

    __slots__ = ("_data", "_unread")

    def __init__(self) -> None:
        self._unread = b""  # of a line
        self._data: list[bytes] = []  # of an event

    def feed(self, piece: bytes) -> Iterator[str]:
        """The events that are whole with these bytes."""
        if b"\n" not in piece:
            self._unread += piece
            return
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data).decode("utf-8", "replace")
                self._data = []
