"""The load process: `python -m harness.load.users PLAN.json`. The only module that imports Locust and gevent.

Locust has no arrival-rate executor: its shapes set numbers of users, each of which waits for its last request. So one user walks the
arrival schedule and spawns a greenlet for each arrival; latency counts from the intended start.
"""

# ruff: noqa: E402  # the patch comes before the other imports: Locust must not find unpatched sockets in use
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
import sys
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from locust import User, constant, events, task
from locust.argument_parser import parse_options
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import STATE_MISSING, MasterRunner
from locust.util.load_locustfile import load_locustfile

from harness.load import messages as say
from harness.load.child import OWNER_GONE, Load, carry_out, settle
from harness.load.dispatch import Counts
from harness.load.foreign import RequestEvents, stay_here
from harness.load.greenlets import Beginning, GreenletJourneys, harness_says, take_orders, warm
from harness.load.ingest import IngestCheck
from harness.load.ledger import PING_S, Ledger, Sinks
from harness.load.master import Master
from harness.load.observation import Observation
from harness.load.plan import LoadPlan, PlanError
from harness.load.session import STOPPED_DRAIN_S, LoadSession
from harness.load.worker_processes import WORKER_TOKEN_VARIABLE
from harness.record.clock import NS_PER_S
from harness.record.requests import Outcome

_WORD_S = 1.0  # beyond the end of the load, until a worker ends its users without the master's word


class RequestFailedError(Exception):
    """What Locust is told of a request that was not served."""


def main(argv: list[str]) -> int:
    """`PLAN.json`; `--worker HOST:PORT`, or `--owned-worker` for one that ends with its standard input. The exit status: see `perform`."""
    if argv[1] in ("--worker", "--owned-worker"):
        return work_for(argv[2], owned=argv[1] == "--owned-worker")
    return carry_out(argv, _run)


def _run(load: Load) -> None:
    if load.plan.workers > 1:
        _run_crew(load)
    elif load.plan.locustfile is not None:
        _run_locustfile(load)
    else:
        _run_journeys(load)


def _run_journeys(load: Load) -> None:
    environment, journeys = Environment(), GreenletJourneys(load)
    names = load.plan.journey_names
    session = journeys.session(lambda o: _announce(environment, o, names[o.journey]))
    warm(journeys.transport, load.versions.entries)
    t0_ns = harness_says(load, session.stop)
    environment.user_classes = [_open_loop_user(session, t0_ns, journeys.walked)]
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    journeys.watch_and_finish(session)
    runner.quit()


def _environment_for(plan: LoadPlan) -> Environment:
    """That of a file that is not ours: its users and its shape, by Locust's own rules. Raises PlanError."""
    *_, user_classes, shape_classes = load_locustfile(plan.locustfile)
    if not user_classes:
        raise PlanError(f"{plan.locustfile}: no user class in it")
    if not shape_classes and (users := _users(plan)) < plan.workers:
        raise PlanError(f"{plan.workers} workers share {users} users; write `closed: {{users: {plan.workers}}}` or more, or fewer workers")
    return Environment(
        user_classes=list(user_classes.values()),
        shape_class=shape_classes[0] if shape_classes else None,
        events=events,
        host=plan.base_url,
        parsed_options=parse_options(args=["--headless", "--host", plan.base_url]),
        stop_timeout=plan.timeout_s,
    )


def _users(plan: LoadPlan) -> int:
    return plan.closed.users if plan.closed is not None else 1


def _start_users(runner: Any, plan: LoadPlan) -> None:
    if runner.environment.shape_class is not None:
        runner.start_shape()
    else:
        runner.start(_users(plan), spawn_rate=_users(plan))


def _run_locustfile(load: Load) -> None:
    """One process with its users; what it tells of each request is recorded."""
    environment = _environment_for(load.plan)
    ledger = _record_events(load)
    runner = environment.create_local_runner()
    _made(environment, runner, load.plan)
    stopped = Event()
    t0_ns = harness_says(load, stopped.set)
    ledger.started(t0_ns)
    gevent.spawn(_watch, ledger)
    gevent.sleep(max(0.0, (t0_ns - load.clock.now_ns()) / NS_PER_S))
    _start_users(runner, load.plan)
    early = bool(stopped.wait(max(0.0, (t0_ns - load.clock.now_ns()) / NS_PER_S + load.plan.duration_s)))
    environment.stop_timeout = STOPPED_DRAIN_S if early else load.plan.timeout_s
    runner.quit()
    ledger.finished(early=early, cancelled=0, check=IngestCheck())


def _record_events(load: Load) -> Ledger:
    counts = Counts()
    ledger = Ledger(load.plan, load.clock, Sinks(load.record, load.recorder, load.metrics), counts)
    heard = RequestEvents(load.clock, load.recorder, load.metrics, ledger, counts, load.plan.share)
    events.request.add_listener(heard.heard)  # type: ignore[no-untyped-call]  # as below: Locust types its events by their listeners
    return ledger


def _made(environment: Environment, runner: Any, plan: LoadPlan) -> None:
    """All is there that the file may ask for; from now on it connects to nothing else."""
    events.init.fire(environment=environment, runner=runner, web_ui=None)  # type: ignore[no-untyped-call]
    stay_here(plan.allowed_hosts)


def _watch(ledger: Ledger) -> None:
    while True:
        gevent.sleep(PING_S)
        ledger.look()


class _Dealer(MasterRunner):
    """Locust's master, which deals out users by Locust's own rules. To end them is our word to the workers: after Locust's own, it takes
    them for gone, and they do not listen for a whole `stop_timeout`. A shape or a locustfile may ask for it at any time.
    """

    def __init__(self, environment: Environment, host: str, port: int) -> None:
        super().__init__(environment, host, port)
        self.ended = False

    def stop(self, send_stop_to_client: bool = True) -> None:  # noqa: ARG002  # Locust's name
        self.ended = True
        super().stop(send_stop_to_client=False)

    def quit(self) -> None:
        self.stop()

    def close(self) -> None:
        """Nothing is heard any more."""
        super().quit()


class MasterBus:
    """`Bus` on Locust's master runner."""

    def __init__(self, plan: LoadPlan) -> None:
        host, _, port = (plan.listen or "127.0.0.1:0").rpartition(":")
        self._plan = plan
        self._environment = _environment_for(plan) if plan.locustfile is not None else Environment()
        self.runner = self._environment.runner = _Dealer(self._environment, host, int(port))
        if self._environment.shape_class is not None:
            self._environment.shape_class.runner = self.runner
        self.address = f"{'127.0.0.1' if host == '*' else host}:{self.runner.server.port}"
        if plan.locustfile is not None:
            _made(self._environment, self.runner, plan)

    def listen(self, heard: Callable[[str, dict[str, Any], str], None]) -> None:
        for kind in say.FROM_WORKERS:
            self.runner.register_message(kind, lambda msg, kind=kind, **_: heard(kind, msg.data, msg.node_id))

    def send(self, kind: str, data: dict[str, Any], worker: str) -> None:
        self.runner.send_message(kind, data, client_id=worker)

    def missing(self, worker: str) -> bool:
        return worker not in self.runner.clients or self.runner.clients[worker].state == STATE_MISSING

    def start_users(self, in_s: float) -> None:
        """Of a locustfile."""
        if self._plan.locustfile is not None:
            gevent.spawn_later(max(0.0, in_s), _start_users, self.runner, self._plan)

    @property
    def ended(self) -> bool:
        """Has the locustfile ended its users itself?"""
        return self.runner.ended


def _run_crew(load: Load) -> None:
    """The master."""
    bus = MasterBus(load.plan)
    master = Master(load, bus, bus.runner.stop)
    try:
        while master.gathering():
            gevent.sleep(PING_S)
        t0_ns = harness_says(load, master.stop)
        master.begin(t0_ns)
        bus.start_users((t0_ns - load.clock.now_ns()) / NS_PER_S)
        while master.at_work(ended=bus.ended):
            gevent.sleep(PING_S)
        master.finish()
        bus.runner.close()
    finally:
        master.close()


def work_for(master: str, *, owned: bool) -> int:
    """A worker: connects to the master, gets its plan, and sends what comes of it."""
    host, _, port = master.rpartition(":")
    environment = Environment(events=events)
    runner = environment.create_worker_runner(host, int(port))
    seat = say.Seat(runner.send_message, os.environ.pop(WORKER_TOKEN_VARIABLE, ""))
    plans, released, ended, early = AsyncResult(), Event(), Event(), Event()
    beginnings: list[Beginning] = []
    listeners: dict[str, Callable[[dict[str, Any]], object]] = {
        say.CLOCK: seat.tell_clock,
        say.PLAN: plans.set,
        say.BEGIN: lambda data: beginnings[0].begin(data["t0_ns"]),
        say.STOP: lambda _data: beginnings[0].stop(),
        say.END: lambda _data: ended.set(),
        say.BYE: lambda _data: released.set(),
    }
    for kind, listener in listeners.items():
        runner.register_message(kind, lambda msg, listener=listener, **_: listener(msg.data))
    seat.hello()
    if owned:
        gevent.spawn(take_orders, lambda _data: None, gevent.getcurrent())

    def ready(load: Load, stop: Callable[[], None]) -> int:
        beginnings.append(Beginning(load, stop))
        settle()
        runner.send_message(say.READY, {})
        return beginnings[0].wait()

    def ask(load: Load) -> None:
        journeys = GreenletJourneys(load)
        session = journeys.session(None)
        warm(journeys.transport, load.versions.entries)
        t0_ns = ready(load, session.stop)
        gevent.spawn(session.walk, t0_ns).link(journeys.walked)
        journeys.watch_and_finish(session)

    def stop_users() -> None:
        early.set()
        ended.set()

    def be_users(load: Load) -> None:
        """The master's runner tells this one which users to be."""
        described = _environment_for(load.plan)
        environment.user_classes, environment.host = described.user_classes, described.host
        environment.parsed_options = described.parsed_options
        ledger = _record_events(load)
        _made(environment, runner, load.plan)
        t0_ns = ready(load, stop_users)
        ledger.started(t0_ns)
        gevent.spawn(_watch, ledger)
        end_ns = t0_ns + round(load.plan.duration_s * NS_PER_S)
        ended.wait((end_ns - load.clock.now_ns()) / NS_PER_S + _WORD_S)
        environment.stop_timeout = STOPPED_DRAIN_S if early.is_set() else load.plan.timeout_s
        runner.stop()
        early.wait(max(0.0, (end_ns - load.clock.now_ns()) / NS_PER_S))
        ledger.finished(early=early.is_set(), cancelled=0, check=IngestCheck())

    def run(load: Load) -> None:
        (ask if load.plan.locustfile is None else be_users)(load)

    code = seat.carry_out(plans.get(timeout=say.START_S), run)
    if code != OWNER_GONE:
        released.wait(say.RELEASE_S)
    return code


def _open_loop_user(session: LoadSession, t0_ns: int, walked: AsyncResult) -> type[User]:
    """The one Locust user: its only task is the whole schedule."""

    class OpenLoopUser(User):
        wait_time = constant(0)

        @task
        def walk(self) -> None:
            try:
                session.walk(t0_ns)
            except Exception as error:  # noqa: BLE001  # Locust would log it and run the task again
                walked.set_exception(error)
            else:
                walked.set()
            raise StopUser

    return OpenLoopUser


def _announce(environment: Environment, observation: Observation, journey: str) -> None:
    """Locust's own event, for its statistics and for plug-ins; nothing of the record depends on it."""
    served = observation.outcome is Outcome.OK
    environment.events.request.fire(  # type: ignore[no-untyped-call]  # Locust types it by its listeners
        request_type="open",
        name=journey,
        response_time=observation.latency_s * 1000,
        response_length=observation.size,
        exception=None if served else RequestFailedError(observation.outcome.name.lower()),
        context={"observation": observation},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
