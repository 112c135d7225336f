"""The load process: `python -m harness.load.users PLAN.json`. The only module that imports Locust and gevent.

Locust has no arrival-rate executor: its shapes set numbers of users, each of which waits for its last request. So one user walks the
arrival schedule and spawns a greenlet for each arrival; latency counts from the intended start.
"""

# ruff: noqa: E402  # the patch comes before the other imports: Locust must not find unpatched sockets in use
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from locust import User, constant, events, task
from locust.argument_parser import parse_options
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import STATE_MISSING
from locust.util.load_locustfile import load_locustfile

from harness.load import crew as of_crew
from harness.load.child import OWNER_GONE, Load, carry_out, perform
from harness.load.crew import Crew, RemoteRows, clock_id, local_plan
from harness.load.dispatch import Counts
from harness.load.foreign import RequestEvents, stay_here
from harness.load.greenlets import Beginning, Greenlets, harness_says, settle, take_orders, warm
from harness.load.ingest import IngestCheck
from harness.load.ledger import PING_S, Ledger, Sinks
from harness.load.observation import Observation
from harness.load.plan import API_KEY_VARIABLE, LoadPlan, PlanError
from harness.load.recorder import Recorder
from harness.load.session import STOPPED_DRAIN_S, LoadSession
from harness.load.sides import CANDIDATE_KEY_VARIABLE
from harness.load.transport import SocketTransport
from harness.load.worker_processes import WORKER_TOKEN_VARIABLE, WorkerProcesses
from harness.record.clock import NS_PER_S, SystemClock
from harness.record.events import Event as RecordEvent
from harness.record.requests import Outcome


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
        _run_locustfile(load, load.plan.locustfile)
    else:
        _run_journeys(load)


def _run_journeys(load: Load) -> None:
    environment, journeys = Environment(), _Journeys(load)
    names = load.plan.journey_names
    session = journeys.session(lambda o: _announce(environment, o, names[o.journey]))
    warm(journeys.transport, load.versions.entries)
    t0_ns = harness_says(load, session.stop)
    environment.user_classes = [_open_loop_user(session, t0_ns, journeys.walked)]
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    journeys.watch_and_finish(session)
    runner.quit()


class _Journeys:
    """What it takes to carry out a schedule of journeys on greenlets."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.transport = SocketTransport(load.clock, load.plan.trusted, monkey.get_original("select", "poll"))
        self.walked: AsyncResult = AsyncResult()  # the end of the load, or the exception that ended it
        self._greenlets = Greenlets(self.walked.set_exception)

    def session(self, announce: Callable[[Observation], None] | None) -> LoadSession:
        load = self._load
        sinks = Sinks(load.record, load.recorder, load.metrics, announce)
        asked = load.versions.ingested, load.versions.performer, self.transport
        return LoadSession(load.plan, load.knowledge, load.clock, self._greenlets, sinks, *asked)

    def watch_and_finish(self, session: LoadSession) -> None:
        load = self._load
        gevent.spawn(session.watch).link_exception(lambda ended: self.walked.set_exception(ended.exception))
        self.walked.get()
        session.finish(load.versions.checker(self.transport, self._greenlets.sleep))


def _run_locustfile(load: Load, file: str) -> None:
    """The users of a file that is not ours, by Locust's own rules; what it tells of each request is recorded."""
    counts = Counts()
    ledger = Ledger(load.plan, load.clock, Sinks(load.record, load.recorder, load.metrics), counts)
    heard = RequestEvents(load.clock, load.recorder, load.metrics, ledger, counts)
    *_, user_classes, shape_classes = load_locustfile(file)
    if not user_classes:
        raise PlanError(f"{file}: no user class in it")
    environment = Environment(
        user_classes=list(user_classes.values()),
        shape_class=shape_classes[0] if shape_classes else None,
        events=events,
        host=load.plan.base_url,
        parsed_options=parse_options(args=["--headless", "--host", load.plan.base_url]),
        stop_timeout=load.plan.timeout_s,
    )
    events.request.add_listener(heard.heard)  # type: ignore[no-untyped-call]  # as below: Locust types its events by their listeners
    runner = environment.create_local_runner()
    events.init.fire(environment=environment, runner=runner, web_ui=None)  # type: ignore[no-untyped-call]
    stay_here(load.plan.allowed_hosts)
    stopped = Event()
    t0_ns = harness_says(load, stopped.set)
    ledger.started(t0_ns)
    gevent.spawn(_watch, ledger)
    gevent.sleep(max(0.0, (t0_ns - load.clock.now_ns()) / NS_PER_S))
    if environment.shape_class is not None:
        runner.start_shape()
    else:
        users = load.plan.closed.users if load.plan.closed is not None else 1
        runner.start(users, spawn_rate=users)
    early = bool(stopped.wait(max(0.0, (t0_ns - load.clock.now_ns()) / NS_PER_S + load.plan.duration_s)))
    environment.stop_timeout = STOPPED_DRAIN_S if early else load.plan.timeout_s
    runner.quit()
    ledger.finished(early=early, cancelled=0, check=IngestCheck())


def _watch(ledger: Ledger) -> None:
    while True:
        gevent.sleep(PING_S)
        ledger.look()


class MasterBus:
    """`Bus` on Locust's master runner."""

    def __init__(self, plan: LoadPlan) -> None:
        host, _, port = (plan.listen or "127.0.0.1:0").rpartition(":")
        self.runner = Environment().create_master_runner(host, int(port))
        self.address = f"{'127.0.0.1' if host == '*' else host}:{self.runner.server.port}"

    def listen(self, heard: Callable[[str, dict[str, Any], str], None]) -> None:
        """Hand over what workers say."""
        for kind in (of_crew.HELLO, of_crew.CLOCK, of_crew.READY, of_crew.ROWS, of_crew.GAPS, of_crew.EVENT):
            self.runner.register_message(kind, lambda msg, kind=kind, **_: heard(kind, msg.data, msg.node_id))

    def send(self, kind: str, data: dict[str, Any], worker: str) -> None:
        self.runner.send_message(kind, data, client_id=worker)

    def missing(self, worker: str) -> bool:
        return worker not in self.runner.clients or self.runner.clients[worker].state == STATE_MISSING


def _run_crew(load: Load) -> None:
    """The master: it sends nothing to the target itself."""
    plan, token = load.plan, os.environ.get(WORKER_TOKEN_VARIABLE) or token_hex(16)
    if plan.remote_workers and WORKER_TOKEN_VARIABLE not in os.environ:
        raise PlanError(f"remote workers must show a token: set {WORKER_TOKEN_VARIABLE}, here and there")
    bus, keys = MasterBus(plan), (os.environ.get(API_KEY_VARIABLE), os.environ.get(CANDIDATE_KEY_VARIABLE))
    crew = Crew(plan, load.clock, load.record, load.metrics, bus, token, keys)
    bus.listen(crew.heard)
    workers = WorkerProcesses(plan.workers - plan.remote_workers, bus.address, token)
    try:
        with gevent.Timeout(of_crew.START_S, PlanError(f"not all of the {plan.workers} workers were ready within {of_crew.START_S:g}s")):
            while not crew.ready:
                gevent.sleep(PING_S)
                if workers.any_ended:
                    raise PlanError("a worker ended before it was ready")
        stopped = Event()
        t0_ns = harness_says(load, stopped.set)
        crew.begin(t0_ns)
        until_ns = t0_ns + of_crew.longest_ns(plan)
        while not crew.over and load.clock.now_ns() < until_ns:
            gevent.sleep(PING_S)
            crew.look(workers.ended)
            if stopped.is_set():
                crew.stop()
        crew.finished()
        bus.runner.quit()
    finally:
        workers.end()
        crew.close()


def work_for(master: str, *, owned: bool) -> int:
    """A worker: connects to the master, gets its plan, and sends what comes of it."""
    host, _, port = master.rpartition(":")
    token = os.environ.pop(WORKER_TOKEN_VARIABLE, "")
    runner = Environment().create_worker_runner(host, int(port))
    clock, plans, released = SystemClock(), AsyncResult(), Event()
    beginnings: list[Beginning] = []
    listeners: dict[str, Callable[[dict[str, Any]], object]] = {
        of_crew.CLOCK: lambda data: runner.send_message(of_crew.CLOCK, {**data, "its_ns": clock.now_ns()}),
        of_crew.PLAN: plans.set,
        of_crew.BEGIN: lambda data: beginnings[0].begin(data["t0_ns"]),
        of_crew.STOP: lambda _data: beginnings[0].stop(),
        of_crew.BYE: lambda _data: released.set(),
    }
    for kind, listener in listeners.items():
        runner.register_message(kind, lambda msg, listener=listener, **_: listener(msg.data))
    runner.send_message(of_crew.HELLO, {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "clock": clock_id()})
    if owned:
        gevent.spawn(take_orders, lambda _data: None, gevent.getcurrent())

    def record(event: RecordEvent) -> RecordEvent:
        runner.send_message(of_crew.EVENT, dict(event.data))
        return event

    def run(load: Load) -> None:
        journeys = _Journeys(load)
        session = journeys.session(None)
        warm(journeys.transport, load.versions.entries)
        beginnings.append(Beginning(load, session.stop))
        settle()
        runner.send_message(of_crew.READY, {})
        t0_ns = beginnings[0].wait()
        gevent.spawn(session.walk, t0_ns).link(journeys.walked)
        journeys.watch_and_finish(session)

    with TemporaryDirectory() as folder:
        got = plans.get(timeout=of_crew.START_S)
        plan = local_plan(got["plan"], got["files"], Path(folder))
        rows, gaps = (RemoteRows(runner.send_message, kind) for kind in (of_crew.ROWS, of_crew.GAPS))
        recorder = Recorder(Path(folder), plan.journey_names, rows, gaps if plan.gaps_dir is not None else None)
        code = perform(plan, clock, record, recorder, tuple(got["keys"]), run, -1)
    if code != OWNER_GONE:
        released.wait(of_crew.RELEASE_S)
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
