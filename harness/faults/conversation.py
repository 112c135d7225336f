"""One whole conversation over TCP, to its end: what came, when, and how it ended, whatever a fault made of it.

Of the standard library alone: it is also given to a bare Python in another network namespace, as text, and says there what it saw:
`python -I -S conversation.py HOST PORT ASK_HEX --patience SECONDS --times N --within SECONDS` prints one JSON object a conversation.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

End = Literal["closed", "reset", "silent", "refused", "unreachable"]
Dial = Callable[[float], socket.socket]
"""Connects within so many seconds. Raises OSError."""
Now = Callable[[], int]
"""A monotonic clock, in ns."""
QUIET_S = 0.06
"""A server that has said nothing for so long after its first word has said all."""
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Talk:
    """`answered_s` and `ended_s` count from the question; `answered_s` is None where nothing came.

    `silent`: connected, and neither a word nor the end in time. `unreachable`: not even connected in time.
    """

    answer: bytes
    answered_s: float | None
    ended_s: float
    end: End

    def to_json(self) -> dict[str, Any]:
        return {"answer": self.answer.hex(), "answered_s": self.answered_s, "ended_s": self.ended_s, "end": self.end}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Talk:
        return cls(bytes.fromhex(told["answer"]), told["answered_s"], told["ended_s"], told["end"])


def converse(dial: Dial, ask: bytes, now_ns: Now, patience_s: float) -> Talk:
    """Ask, read until the service is done, end our side, and read to the end; `patience_s` bounds each wait but that for more words."""
    started_ns = now_ns()
    try:
        connection = dial(patience_s)
    except TimeoutError:
        return Talk(b"", None, _since_s(now_ns, started_ns), "unreachable")
    except ConnectionResetError:
        return Talk(b"", None, _since_s(now_ns, started_ns), "reset")
    except OSError:
        return Talk(b"", None, _since_s(now_ns, started_ns), "refused")
    with connection:
        return _to_the_end(connection, ask, now_ns, patience_s)


def _to_the_end(connection: socket.socket, ask: bytes, now_ns: Now, patience_s: float) -> Talk:
    parts: list[bytes] = []
    answered_s: float | None = None
    end: End | None = None
    done = False
    started_ns = now_ns()
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(ask)
        while end is None:
            connection.settimeout(QUIET_S if parts and not done else patience_s)
            try:
                part = connection.recv(_READ_BYTES)
            except TimeoutError:
                if done or not parts:
                    end = "silent"
                else:
                    done = True
                    connection.shutdown(socket.SHUT_WR)
                continue
            if not part:
                end = "closed"
            else:
                answered_s = _since_s(now_ns, started_ns) if answered_s is None else answered_s
                parts.append(part)
    except OSError:
        end = "reset"
    return Talk(b"".join(parts), answered_s, _since_s(now_ns, started_ns), end)


def _since_s(now_ns: Now, started_ns: int) -> float:
    return (now_ns() - started_ns) / 1e9


def main(argv: list[str]) -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(prog="conversation.py")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ask", type=bytes.fromhex)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--within", type=float, default=60.0, help="begin none after so many seconds")
    options = parser.parse_args(argv)
    now_ns = time.monotonic_ns
    started_ns = now_ns()

    def dial(timeout_s: float) -> socket.socket:
        return socket.create_connection((options.host, options.port), timeout=timeout_s)

    for number in range(options.times):
        if number and _since_s(now_ns, started_ns) > options.within:
            break
        sys.stdout.write(json.dumps(converse(dial, options.ask, now_ns, options.patience).to_json()) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
