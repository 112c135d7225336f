"""Server-sent events, line by line: the subset that token streams use (`data:` fields, comments, blank lines)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def payloads(lines: Iterable[bytes]) -> Iterator[str]:
    """The data of each whole event. `lines` end in LF or CRLF, as they come off the wire; an event cut off by the end is none.

    Text is decoded per event, so a character split over network packets does no harm; invalid UTF-8 becomes U+FFFD.
    """
    data: list[bytes] = []
    for line in lines:
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data).decode("utf-8", "replace")
            data = []
