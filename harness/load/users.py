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
from functools import partial
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.os import make_nonblocking, nb_read
from gevent.pool import Group
from gevent.pywsgi import WSGIServer
from locust import User, constant, task
from locust.env import Environment
from locust.exception import StopUser
from prometheus_client import make_wsgi_app

from harness.load.child import WARM_CONNECTIONS, WARM_S, HarnessGone, Load, Orders, carry_out, say_ready
from harness.load.http import RequestTimeoutError, UnreachableError
from harness.load.ledger import Sinks
from harness.load.observation import Observation
from harness.load.session import LoadSession
from harness.load.transport import SocketTransport
from harness.record.clock import SystemClock
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
    transport = SocketTransport(load.clock, monkey.get_original("select", "poll"))
    walked: AsyncResult = AsyncResult()  # the end of the load, or the exception that ended it
    greenlets = Greenlets(walked.set_exception)
    environment = Environment()
    names = load.plan.journey_names
    sinks = Sinks(load.journal.append, load.recorder, load.metrics, lambda o: _announce(environment, o, names[o.journey]))
    session = LoadSession(
        load.plan, load.knowledge, load.clock, greenlets, sinks, load.versions.ingested, load.versions.performer, transport
    )

    server = WSGIServer(("127.0.0.1", load.plan.metrics_port), make_wsgi_app(load.metrics.registry), log=None)
    server.start()
    for url in load.versions.entries:
        _warm(transport, url)
    begin: AsyncResult = AsyncResult()
    stop = partial(_stop, begin, session)
    gevent.spawn(_take_orders, Orders(lambda t0_ns: None if begin.ready() else begin.set(t0_ns), stop), gevent.getcurrent())
    gevent.signal_handler(signal.SIGTERM, stop)
    gc.collect()
    gc.freeze()  # a full collection would else walk all of Locust, and hold back whatever is due meanwhile
    say_ready(server.server_port)

    t0_ns = begin.get()
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


def _stop(begin: AsyncResult, session: LoadSession) -> None:
    session.stop()
    if not begin.ready():
        begin.set(SystemClock().now_ns())


def _take_orders(orders: Orders, main_greenlet: Any) -> None:
    """Read the harness's lines; at their end, break off whatever the main greenlet is waiting for."""
    make_nonblocking(0)
    while data := nb_read(0, 4096):
        orders.feed(data)
    gevent.kill(main_greenlet, HarnessGone)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
