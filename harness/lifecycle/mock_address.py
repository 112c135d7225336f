"""Where a mock listens, and where this machine reaches it."""

from __future__ import annotations

import errno
import socket

from harness.lifecycle.mock_documents import MockUsageError
from harness.stack.ports import LOOPBACK, free_ports


class MockStartError(RuntimeError):
    """The mock did not start: its port is taken, or it ended."""


def reachable(host: str, *, bare: bool = False) -> str:
    """The address under which this machine reaches a server that listens on `host`; in brackets where a URL wants them."""
    shown = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)
    return f"[{shown}]" if ":" in shown and not bare else shown


def free_port(host: str, port: int, option: str, but: int | None = None) -> int:
    """`port` if it is free now; for 0 any that is, `but` not that one.

    Raises MockStartError for one that is taken, MockUsageError for an address that this machine has not.
    """
    if port == 0:
        return next(found for found in free_ports(2) if found != but)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise MockUsageError(f"cannot listen on {host}:{port}: {error}") from error
            what = "is taken" if error.errno == errno.EADDRINUSE else "is not for this user"
            raise MockStartError(f"port {port} {what}; choose another one with {option} (0: any that is free)") from error
    return port
