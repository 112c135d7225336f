"""Loopback ports that stay ours while a process is down.

They are taken from below the kernel's ephemeral range. A port inside it may become the source port of any outgoing connection while
its owner is down: then the owner cannot come back, or a client that keeps trying to connect ends up connected to itself.

Between the choice of a port and the start of its server lie seconds, in which whoever else looks would find it free, too. So a port that
was given out stays reserved: bound, with SO_REUSEADDR, and not listened on. To Linux that is no obstacle for a server that sets the option,
as servers do to come back after a crash (`inet_csk_bind_conflict`); it is one for whoever asks here, which binds without it.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import deque
from pathlib import Path

from harness.stack.base import StackError

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_EPHEMERAL_START = 32_768
_TRIES = 2_000
_MOST_RESERVED = 64  # per process, the newest: whoever asked that many times since has started its servers
_reserved: deque[int] = deque()  # descriptors: sockets still open at exit would be warned of


def free_ports(count: int) -> list[int]:
    """That many different ports that are nobody's now, and that no other process gets here while this one lives, up to some 64 of them.

    Who takes ports without asking here may be quicker: a start that finds its port taken asks again.
    """
    limit = _ephemeral_start()
    found: list[socket.socket] = []
    for _ in range(_TRIES):
        if len(found) == count:
            ports = [int(bound.getsockname()[1]) for bound in found]
            _keep(found)
            return ports
        # not seeded: two runs with the same seed side by side must not fight for the same ports
        port = LOWEST_PORT + secrets.randbelow(limit - LOWEST_PORT) if limit > LOWEST_PORT else 0
        if (bound := _reserve(port)) is not None:
            found.append(bound)
    for bound in found:
        bound.close()
    raise StackError(f"no {count} free loopback ports between {LOWEST_PORT} and {limit}")


def is_free(port: int) -> bool:
    """Can a server bind it now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: connections in TIME_WAIT do not make a port taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)  # with SO_REUSEADDR only listening excludes others
        except OSError:
            return False
    return True


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_EPHEMERAL_START


def _reserve(port: int) -> socket.socket | None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        return None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from here on the port's server can bind it
    return bound


def _keep(newest: list[socket.socket]) -> None:
    _reserved.extend(bound.detach() for bound in newest)
    while len(_reserved) > max(_MOST_RESERVED, len(newest)):
        os.close(_reserved.popleft())
