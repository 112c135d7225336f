"""Ports of pods on this machine's loopback: each connection is led through the API server.

Through the client rather than by `kubectl port-forward`, because a listener here stays at its port whatever becomes of the pod behind it:
who connects next reaches the next pod. `kubectl` would end with the pod, and would have to be there.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable

from harness.cluster import ClusterError
from harness.stack.base import StackError
from harness.stack.ports import LOOPBACK

_CHUNK_BYTES = 256 * 1024
_BACKLOG = 128
LEAVE_S = 5.0
_RESET = struct.pack("ii", 1, 0)

Dial = Callable[[], socket.socket]
"""Connects to whatever is behind. Raises StackError or ClusterError where there is nothing."""


class Forward:
    """A listener; each connection that it takes is led to what `dial` connects to."""

    def __init__(self, name: str, dial: Dial) -> None:
        self._dial = dial
        self._listener = socket.create_server((LOOPBACK, 0), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._name = name
        threading.Thread(target=self._serve, name=f"forward to {name}", daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with what is behind them. Idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for one
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._lead, args=(taken,), name=f"connection to {self._name}", daemon=True).start()

    def _lead(self, taken: socket.socket) -> None:
        with taken:
            try:
                beyond = self._dial()
            except (StackError, ClusterError):
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)  # nobody listens there: that is no end in order
                return
            with contextlib.closing(beyond):
                _pump(taken, beyond)
                _leave(beyond)


def _leave(beyond: socket.socket) -> None:
    """Say that nothing more comes, and take what is still on its way: who is closed upon while it says something takes that for an error,
    and what leads to the pod would be left open.
    """
    with contextlib.suppress(OSError):
        beyond.shutdown(socket.SHUT_WR)
        beyond.settimeout(LEAVE_S)
        while beyond.recv(_CHUNK_BYTES):
            continue


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until either side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]  # as registered
                try:
                    data = source.recv(_CHUNK_BYTES)
                    if not data:
                        return
                    key.data.sendall(data)
                except OSError:
                    return
