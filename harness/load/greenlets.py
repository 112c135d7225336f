"""The gevent side of a load process, without Locust. Imported by `users` alone, once gevent has patched the standard library."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent import monkey
from gevent.event import AsyncResult
from gevent.os import make_nonblocking, nb_read
from gevent.pool import Group
from gevent.pywsgi import WSGIServer
from prometheus_client import make_wsgi_app

from harness.load.child import WARM_CONNECTIONS, WARM_S, HarnessGone, Load, Orders, settle
from harness.load.http import RequestTimeoutError, UnreachableError
from harness.load.ledger import Sinks
from harness.load.observation import Observation
from harness.load.session import LoadSession
from harness.load.timer import KernelTimer
from harness.load.transport import SocketTransport
from harness.record.clock import NS_PER_S, Clock

_SHORTEST_NAP_NS = 400_000  # arrivals that are due within so short a time start together: a timer costs as much as a request


class Greenlets:
    """`Concurrency` on gevent. The first request that ends in an unforeseen exception fails the load: it is a defect here."""

    def __init__(self, clock: Clock, on_defect: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._group = Group()
        self._on_defect = on_defect
        self._timer = KernelTimer()
        self._rung = gevent.get_hub().loop.io(self._timer.fd, 1)  # 1: readable

    def spawn(self, work: Callable[[], None]) -> None:
        greenlet = self._group.spawn(work)
        greenlet.link_exception(lambda ended: self._on_defect(ended.exception))

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        greenlet = gevent.spawn_later(delay_s, work)
        greenlet.link_exception(lambda ended: self._on_defect(ended.exception))

    def sleep(self, duration_s: float) -> None:
        gevent.sleep(duration_s)

    def nap(self, duration_s: float) -> None:
        if duration_s <= 0:
            gevent.sleep(0)
            return
        self._timer.arm(self._clock.now_ns() + max(round(duration_s * NS_PER_S), _SHORTEST_NAP_NS))
        gevent.get_hub().wait(self._rung)
        self._timer.clear()

    def limit(self, duration_s: float) -> gevent.Timeout:
        return gevent.Timeout(duration_s, RequestTimeoutError)

    def cancel_spawned(self) -> None:
        self._group.kill()


class GreenletJourneys:
    """What it takes to carry out a schedule of journeys on greenlets."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.transport = SocketTransport(load.clock, load.plan.trusted, monkey.get_original("select", "poll"))
        self.walked: AsyncResult = AsyncResult()  # the end of the load, or the exception that ended it
        self._greenlets = Greenlets(load.clock, self.walked.set_exception)

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


class Beginning:
    """The instant at which it all begins, and what may come in its place."""

    def __init__(self, load: Load, stop: Callable[[], None]) -> None:
        self._load = load
        self._stop = stop
        self._t0_ns: AsyncResult = AsyncResult()

    def begin(self, t0_ns: int) -> None:
        """The schedule starts at that monotonic time. Only the first one counts."""
        if not self._t0_ns.ready():
            self._t0_ns.set(t0_ns)

    def stop(self) -> None:
        """End in order; before the begin, begin at once in order to end."""
        self._stop()
        self.begin(self._load.clock.now_ns())

    def wait(self) -> int:
        t0_ns: int = self._t0_ns.get()
        return t0_ns


def harness_says(load: Load, stop: Callable[[], None]) -> int:
    """Tell the harness that all is ready, and wait for its word; a stop may come at any time from now on."""
    server = WSGIServer(("127.0.0.1", load.plan.metrics_port), make_wsgi_app(load.metrics.registry), log=None)
    server.start()
    beginning = Beginning(load, stop)
    orders = Orders(beginning.begin, beginning.stop)
    gevent.spawn(take_orders, orders.feed, gevent.getcurrent())
    gevent.signal_handler(signal.SIGTERM, beginning.stop)
    settle()
    load.say_ready(server.server_port)
    return beginning.wait()


def take_orders(feed: Callable[[bytes], None], main_greenlet: Any) -> None:
    """Read the lines of who owns this process; at their end, break off whatever the main greenlet is waiting for."""
    make_nonblocking(0)
    while data := nb_read(0, 4096):
        feed(data)
    gevent.kill(main_greenlet, HarnessGone)


def warm(transport: SocketTransport, urls: Sequence[str]) -> None:
    """Open some connections to each. Raises UnreachableError."""
    for url in urls:
        with gevent.Timeout(WARM_S, UnreachableError(f"{url} accepts no connection within {WARM_S:g}s")):
            transport.warm(url, WARM_CONNECTIONS)
