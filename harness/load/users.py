"""The load process: `python -m harness.load.users PLAN.json`. The only module that imports Locust and gevent.

Locust has no arrival-rate executor: its shapes set numbers of users, each of which waits for its last request. So one user walks the
arrival schedule and spawns a greenlet for each arrival; latency counts from the intended start.
"""

# ruff: noqa: E402  # the patch comes before the other imports: Locust must not find unpatched sockets in use
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc
import signal
import sys
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.os import make_nonblocking, nb_read
from gevent.pool import Group
from gevent.pywsgi import WSGIServer
from locust import User, constant, events, task
from locust.argument_parser import parse_options
from locust.env import Environment
from locust.exception import StopUser
from locust.util.load_locustfile import load_locustfile
from prometheus_client import make_wsgi_app

from harness.load.child import WARM_CONNECTIONS, WARM_S, HarnessGone, Load, Orders, carry_out
from harness.load.dispatch import Counts
from harness.load.foreign import RequestEvents, stay_here
from harness.load.http import RequestTimeoutError, UnreachableError
from harness.load.ingest import IngestCheck
from harness.load.ledger import PING_S, Ledger, Sinks
from harness.load.observation import Observation
from harness.load.plan import PlanError
from harness.load.session import STOPPED_DRAIN_S, LoadSession
from harness.load.transport import SocketTransport
from harness.record.clock import NS_PER_S
from harness.record.requests import Outcome


class Greenlets:
    """`Concurrency` on gevent. The first request that ends in an unforeseen exception fails the load: it is a defect here."""

    def __init__(self, on_defect: Callable[[BaseException], None]) -> None:
        self._group = Group()
        self._on_defect = on_defect

    def spawn(self, work: Callable[[], None]) -> None:
        greenlet = self._group.spawn(work)
        greenlet.link_exception(lambda ended: self._on_defect(ended.exception))

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        greenlet = gevent.spawn_later(delay_s, work)
        greenlet.link_exception(lambda ended: self._on_defect(ended.exception))

    def sleep(self, duration_s: float) -> None:
        gevent.sleep(duration_s)

    def limit(self, duration_s: float) -> gevent.Timeout:
        return gevent.Timeout(duration_s, RequestTimeoutError)

    def cancel_spawned(self) -> None:
        self._group.kill()


class RequestFailedError(Exception):
    """What Locust is told of a request that was not served."""


def main(argv: list[str]) -> int:
    """The exit status: see `carry_out`."""
    return carry_out(argv, _run)


def _run(load: Load) -> None:
    if load.plan.locustfile is not None:
        _run_locustfile(load, load.plan.locustfile)
    else:
        _run_journeys(load)


def _run_locustfile(load: Load, file: str) -> None:
    """The users of a file that is not ours, by Locust's own rules; what it tells of each request is recorded."""
    counts = Counts()
    ledger = Ledger(load.plan, load.clock, Sinks(load.journal.append, load.recorder, load.metrics), counts)
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
    server = _serve_metrics(load)
    stay_here(load.plan.allowed_hosts)
    stopped = Event()
    t0_ns = _ready(load, server, AsyncResult(), stopped.set)
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


def _run_journeys(load: Load) -> None:
    transport = SocketTransport(load.clock, monkey.get_original("select", "poll"))
    walked: AsyncResult = AsyncResult()  # the end of the load, or the exception that ended it
    greenlets = Greenlets(walked.set_exception)
    environment = Environment()
    names = load.plan.journey_names
    sinks = Sinks(load.journal.append, load.recorder, load.metrics, lambda o: _announce(environment, o, names[o.journey]))
    session = LoadSession(
        load.plan, load.knowledge, load.clock, greenlets, sinks, load.versions.ingested, load.versions.performer, transport
    )

    server = _serve_metrics(load)
    for url in load.versions.entries:
        _warm(transport, url)
    t0_ns = _ready(load, server, AsyncResult(), session.stop)
    gevent.spawn(session.watch).link_exception(lambda ended: walked.set_exception(ended.exception))
    environment.user_classes = [_open_loop_user(session, t0_ns, walked)]
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    walked.get()
    session.finish(load.versions.checker(transport, greenlets.sleep))
    runner.quit()


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


def _warm(transport: SocketTransport, base_url: str) -> None:
    with gevent.Timeout(WARM_S, UnreachableError(f"{base_url} accepts no connection within {WARM_S:g}s")):
        transport.warm(base_url, WARM_CONNECTIONS)


def _serve_metrics(load: Load) -> WSGIServer:
    server = WSGIServer(("127.0.0.1", load.plan.metrics_port), make_wsgi_app(load.metrics.registry), log=None)
    server.start()
    return server


def _ready(load: Load, server: WSGIServer, begin: AsyncResult, stop: Callable[[], None]) -> int:
    """Tell the harness, and wait for the instant at which it all begins; a stop before it begins it at once."""

    def stop_or_never_begin() -> None:
        stop()
        if not begin.ready():
            begin.set(load.clock.now_ns())

    orders = Orders(lambda t0_ns: None if begin.ready() else begin.set(t0_ns), stop_or_never_begin)
    gevent.spawn(_take_orders, orders, gevent.getcurrent())
    gevent.signal_handler(signal.SIGTERM, stop_or_never_begin)
    gc.collect()
    gc.freeze()  # a full collection would else walk all of Locust, and hold back whatever is due meanwhile
    load.say_ready(server.server_port)
    t0_ns: int = begin.get()
    return t0_ns


def _take_orders(orders: Orders, main_greenlet: Any) -> None:
    """Read the harness's lines; at their end, break off whatever the main greenlet is waiting for."""
    make_nonblocking(0)
    while data := nb_read(0, 4096):
        orders.feed(data)
    gevent.kill(main_greenlet, HarnessGone)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
