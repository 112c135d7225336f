"""Loopback ports that stay ours while a process is down.

They are taken from below the kernel's ephemeral range. A port inside it may become the source port of any outgoing connection while
its owner is down: then the owner cannot come back, or a client that keeps trying to connect ends up connected to itself.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from harness.stack.base import StackError

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_EPHEMERAL_START = 32_768
_TRIES = 2_000


def free_ports(count: int) -> list[int]:
    """That many different ports nobody listens on now. Somebody may be quicker: a start that finds its port taken asks again."""
    limit = _ephemeral_start()
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        for _ in range(_TRIES):
            if len(found) == count:
                return found
            # not seeded: two runs with the same seed side by side must not fight for the same ports
            port = LOWEST_PORT + secrets.randbelow(limit - LOWEST_PORT) if limit > LOWEST_PORT else 0
            if (bound := _bind(port)) is not None:
                held.append(bound)
                found.append(bound.getsockname()[1])
    finally:
        for bound in held:
            bound.close()
    raise StackError(f"no {count} free loopback ports between {LOWEST_PORT} and {limit}")


def is_free(port: int) -> bool:
    """Can a server bind it now?"""
    if (bound := _bind(port)) is None:
        return False
    bound.close()
    return True


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_EPHEMERAL_START


def _bind(port: int) -> socket.socket | None:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # as servers do: connections in TIME_WAIT do not make a port taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        probe.listen(1)  # with SO_REUSEADDR only listening excludes others
    except OSError:
        probe.close()
        return None
    return probe
