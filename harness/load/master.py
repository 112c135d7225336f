"""A load of several processes from its master's side, whatever engine its workers run on: the master itself sends nothing to the target."""

from __future__ import annotations

import os
from collections.abc import Callable
from secrets import token_hex

from harness.load.child import Load
from harness.load.crew import Bus, Crew
from harness.load.messages import START_S
from harness.load.plan import API_KEY_VARIABLE, PlanError
from harness.load.sides import CANDIDATE_KEY_VARIABLE
from harness.load.worker_processes import WORKER_TOKEN_VARIABLE, WorkerProcesses
from harness.record.clock import NS_PER_S

_AFTER_END_S = 20.0  # beyond the time limit of a request: documents are looked for


class Master:
    """Ask `gathering` until it is False, `begin`, ask `at_work` until it is False, both every PING_S; then `finish`. At last, `close`."""

    def __init__(self, load: Load, bus: Bus, hold: Callable[[], None]) -> None:
        """`hold` is called once, when no request is to begin any more. Raises PlanError where remote workers could show no token."""
        plan, token = load.plan, os.environ.get(WORKER_TOKEN_VARIABLE) or token_hex(16)
        if plan.remote_workers and WORKER_TOKEN_VARIABLE not in os.environ:
            raise PlanError(f"remote workers must show a token: set {WORKER_TOKEN_VARIABLE}, here and there")
        keys = os.environ.get(API_KEY_VARIABLE), os.environ.get(CANDIDATE_KEY_VARIABLE)
        self._plan, self._clock, self._hold = plan, load.clock, hold
        self._crew = Crew(plan, load.clock, load.record, load.metrics, bus, token, keys)
        bus.listen(self._crew.heard)
        self._workers = WorkerProcesses(plan.engine, plan.workers - plan.remote_workers, bus.address, token)
        self._start_by_ns = load.clock.now_ns() + round(START_S * NS_PER_S)
        self._end_ns = 0
        self._stopped = self._held = False

    def gathering(self) -> bool:
        """Are some workers not ready yet? Raises PlanError when that takes too long, or when one has ended."""
        if self._crew.ready:
            return False
        if self._workers.any_ended:
            raise PlanError("a worker ended before it was ready")
        if self._clock.now_ns() > self._start_by_ns:
            raise PlanError(f"not all of the {self._plan.workers} workers were ready within {START_S:g}s")
        return True

    def stop(self) -> None:
        """End early, in order."""
        self._stopped = True

    def begin(self, t0_ns: int) -> None:
        """The first arrival is due at that monotonic time."""
        self._end_ns = t0_ns + round(self._plan.duration_s * NS_PER_S)
        self._crew.begin(t0_ns)

    def at_work(self, *, ended: bool = False) -> bool:
        """Is there still anything to come from the workers? `ended`: nothing more is to begin, though the load's time is not over."""
        now_ns = self._clock.now_ns()
        self._crew.look(self._workers.ended)
        if not self._held and (self._stopped or ended or now_ns >= self._end_ns):
            self._held = True
            self._hold()
            self._crew.end(early=self._stopped)
        elif self._stopped:
            self._crew.end(early=True)
        return not self._crew.over and now_ns < self._end_ns + round((self._plan.timeout_s + _AFTER_END_S) * NS_PER_S)

    def finish(self) -> None:
        """Write the last event."""
        self._crew.finished()

    def close(self) -> None:
        """Nothing of the workers of this host is left."""
        self._workers.end()
        self._crew.close()
