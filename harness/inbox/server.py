"""The inbox as a server in a thread of the harness."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, Self

from harness.app_thread import AppThread
from harness.inbox.actions import Actions
from harness.inbox.routes import Routes
from harness.inbox.verbs import Verbs
from harness.record.clock import Clock
from harness.record.events import Event
from harness.stack.base import Stack


class InboxError(RuntimeError):
    """The inbox did not start."""


class Inbox:
    """Receives claims and actions on a free loopback port. `start` after the stack is up, `stop` before it goes down.

    `record` is called from several threads, and must have written the event when it returns. `token` is the operator's credential.
    """

    def __init__(self, stack: Stack, record: Callable[[Event], Event], clock: Clock, token: str) -> None:
        self._clock = clock
        self._token = token
        self._verbs = Verbs(stack)
        self._actions = Actions(self._verbs, record, clock)
        self._routes = Routes(self._actions, record, clock, token)
        self._socket: socket.socket | None = None
        self._served: AppThread | None = None

    @property
    def url(self) -> str:
        """Base URL, `http://127.0.0.1:<port>`. Raises InboxError before `start`."""
        if self._socket is None:
            raise InboxError("the inbox was not started")
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def rejected(self) -> Mapping[str, int]:
        """Requests that left no claim (bad body, bad token, busy service), by path."""
        return dict(self._routes.rejected)

    @property
    def alerts_url(self) -> str:
        """The webhook. Raises InboxError before `start`."""
        return f"{self.url}/claims/alerts"

    @property
    def token(self) -> str:
        """The operator's credential."""
        return self._token

    @property
    def alerts_refused(self) -> int:
        """Posts to the webhook that were made while it was down."""
        return self._routes.alerts_refused

    def set_alerts_down(self, how: Literal["error", "hang"] | None) -> None:
        """Let the webhook answer 503 or not at all, and receive nothing; None: as ever."""
        self._routes.alerts_down = how

    def start(self) -> None:
        """Listen; returns when requests are served. Raises InboxError."""
        self._verbs.remember_versions()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._served = AppThread(self._routes.app(), self._socket, self._clock, "inbox", graceful_s=1)
        if not self._served.start():
            self.stop()
            raise InboxError("the inbox does not listen")

    def stop(self) -> None:
        """Stop listening, then wait for actions that are still running; idempotent."""
        if self._served is not None:
            self._served.stop()
        self._actions.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
