"""Requested actions: recorded first, then performed in a thread, one at a time for each service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from harness.inbox.bodies import ActionBody
from harness.inbox.verbs import RefusedError, Verbs, Work
from harness.record.clock import Clock
from harness.record.events import ACTION, Event

_WORKERS = 16  # more than there are services: none waits for another one's restart


@dataclass(frozen=True, slots=True)
class ActionState:
    """What has become of an action. `status`: requested | performed | failed | refused."""

    action_id: str
    status: str
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        return {"action_id": self.action_id, "status": self.status, "detail": self.detail}


class BusyError(Exception):
    """Another action on that service is still running."""

    def __init__(self, running_id: str) -> None:
        super().__init__(running_id)
        self.running_id = running_id


class Actions:
    """The actions of one run. Thread-safe."""

    def __init__(self, verbs: Verbs, record: Callable[[Event], Event], clock: Clock) -> None:
        self._verbs = verbs
        self._record = record
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, ActionState] = {}
        self._running: dict[str, str] = {}  # service -> action id
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="action")

    def request(self, body: ActionBody, t_ns: int) -> ActionState:
        """Record an action received at `t_ns`, and start it; the state is `requested`, or `refused` when the stack cannot perform it.

        Raises BusyError while the service has one running, and verbs.ArgumentError for a wrong request: neither is recorded.
        """
        with self._lock:
            if body.service in self._running:
                raise BusyError(self._running[body.service])
            try:
                work, refusal = self._verbs.prepare(body), ""
            except RefusedError as error:
                work, refusal = None, str(error)
            state = ActionState(f"a-{len(self._states) + 1}", "requested")
            self._states[state.action_id] = state
            self._record(Event(t_ns, ACTION, "claim", {"action_id": state.action_id, "step": "requested", **body.model_dump()}))
            if work is not None:
                self._running[body.service] = state.action_id
        if work is None:
            return self._ended(state.action_id, "refused", refusal)
        self._pool.submit(self._perform, state.action_id, body.service, work)
        return state

    def get(self, action_id: str) -> ActionState | None:
        """None for an id that was never given."""
        return self._states.get(action_id)

    def close(self) -> None:
        """Wait for what is running: a restart cut in two would leave a process behind."""
        self._pool.shutdown(wait=True)

    def _perform(self, action_id: str, service: str, work: Work) -> None:
        try:
            status, detail = "performed", work()
        except Exception as error:  # noqa: BLE001  # whatever a stack raises: the action failed, and the record must say so
            status, detail = "failed", f"{type(error).__name__}: {error}"
        self._ended(action_id, status, detail)
        with self._lock:
            del self._running[service]

    def _ended(self, action_id: str, status: str, detail: str) -> ActionState:
        data: dict[str, Any] = {"action_id": action_id, "step": status, "detail": detail}
        self._record(Event(self._clock.now_ns(), ACTION, "truth", data))
        with self._lock:
            state = self._states[action_id] = replace(self._states[action_id], status=status, detail=detail)
        return state
