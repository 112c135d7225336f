"""An ASGI application, served by uvicorn from a thread of this process."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from harness.record.clock import NS_PER_S, Clock

_START_S = 5.0
_STOP_S = 5.0
_POLL_S = 0.005


class AppThread:
    """Serves on a socket that listens already, and closes it in the end. `name` is the thread's."""

    def __init__(self, app: ASGIApp, listening: socket.socket, clock: Clock, name: str, *, graceful_s: int) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", loop="asyncio", timeout_graceful_shutdown=graceful_s
        )
        self._socket = listening
        self._clock = clock
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name=name, daemon=True)

    @property
    def ending(self) -> bool:
        """Whether it was told to stop: an answer that goes on for ever has to come to an end."""
        return self._server.should_exit

    def start(self) -> bool:
        """Return once requests are served; False, and everything is closed again, where that does not come in time."""
        self._thread.start()
        deadline_ns = self._clock.now_ns() + int(_START_S * NS_PER_S)
        while not self._server.started:
            if not self._thread.is_alive() or self._clock.now_ns() > deadline_ns:
                self.stop()
                return False
            self._clock.sleep(_POLL_S)
        return True

    def stop(self) -> None:
        """Let requests under way end, then no more; idempotent."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._socket.close()
