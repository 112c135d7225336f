"""The load process: `python -m harness.load.users PLAN.json`. The only module that imports Locust and gevent.

Locust has no arrival-rate executor: its shapes set numbers of users, each of which waits for its last request. So one user walks the
arrival schedule and spawns a greenlet for each arrival; latency counts from the intended start.

With the harness it speaks JSON lines. Out: `{"metrics_port": n, "ready": true}`, once. In: `{"t0_ns": n}` starts the schedule at that
monotonic time; `{"stop": true}`, like SIGTERM, ends it early and in order; the end of stdin means that the harness died: exit at once.
"""

# ruff: noqa: E402  # the patch comes before the other imports: Locust must not find unpatched sockets in use
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.os import make_nonblocking, nb_read
from gevent.pool import Group
from gevent.pywsgi import WSGIServer
from locust import User, constant, task
from locust.env import Environment
from locust.exception import StopUser
from prometheus_client import disable_created_metrics, make_wsgi_app

from harness.load.answers import Knowledge, load_knowledge
from harness.load.http import RequestTimeoutError, UnreachableError
from harness.load.ingest import IngestChecker
from harness.load.journeys import Journeys
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.plan import API_KEY_VARIABLE, LoadPlan
from harness.load.recorder import Recorder
from harness.load.session import LoadSession, Sinks
from harness.load.sides import CANDIDATE_KEY_VARIABLE, Performer, Sides, SidesChecker, SidesLog, Split
from harness.load.transport import GeventTransport
from harness.record.clock import SystemClock
from harness.record.events import LOAD, Event
from harness.record.journal import Journal
from harness.record.requests import Outcome

_WARM_CONNECTIONS = 8
_WARM_S = 5.0
_NICENESS = -10


class HarnessGone(BaseException):
    """The process that owns this one has died."""


class Greenlets:
    """`Concurrency` on gevent. The first request that ends in an unforeseen exception fails the load: it is a defect here."""

    def __init__(self, on_defect: Callable[[BaseException], None]) -> None:
        self._group = Group()
        self._on_defect = on_defect

    def spawn(self, work: Callable[[], None]) -> None:
        greenlet = self._group.spawn(work)
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
    """0 when the load was carried out or stopped, 1 when it failed (the last event says why), 3 when the harness died."""
    plan = LoadPlan.from_json(Path(argv[1]).read_text(encoding="utf-8"))
    clock = SystemClock()
    journal = Journal(Path(plan.events_file))
    recorder = Recorder(Path(plan.requests_dir), plan.journey_names)
    try:
        _run(plan, clock, journal, recorder)
    except HarnessGone:
        return 3
    except Exception as error:  # noqa: BLE001  # whatever it was, the record must say why there is no load
        traceback.print_exc()
        journal.append(Event(clock.now_ns(), LOAD, "truth", {"state": "failed", "error": f"{type(error).__name__}: {error}"}))
        return 1
    finally:
        recorder.close()
        journal.close()
    return 0


def _run(plan: LoadPlan, clock: SystemClock, journal: Journal, recorder: Recorder) -> None:
    _raise_descriptor_limit()
    _take_precedence()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter, of use to nobody here
    api_key = os.environ.get(API_KEY_VARIABLE)
    knowledge = load_knowledge(plan.questions_file, plan.corpus_file)
    transport, metrics = GeventTransport(clock), ClientMetrics(plan.journey_names)
    walked: AsyncResult = AsyncResult()  # the end of the load, or the exception that ended it
    greenlets = Greenlets(walked.set_exception)
    environment = Environment()
    sinks = Sinks(journal.append, recorder, metrics, lambda o, journey: _announce(environment, o, journey))
    versions = _Versions(plan, knowledge, transport, clock, api_key)
    session = LoadSession(plan, knowledge, clock, greenlets, sinks, versions.ingested, versions.performer)

    server = WSGIServer(("127.0.0.1", plan.metrics_port), make_wsgi_app(metrics.registry), log=None)
    server.start()
    for url in (plan.base_url, plan.candidate_url):
        if url is not None:
            _warm(transport, url)
    begin: AsyncResult = AsyncResult()
    gevent.spawn(_take_orders, begin, session, gevent.getcurrent())
    gevent.signal_handler(signal.SIGTERM, _stop, begin, session)
    gc.collect()
    gc.freeze()  # a full collection would else walk all of Locust, and hold back whatever is due meanwhile
    sys.stdout.write(json.dumps({"metrics_port": server.server_port, "ready": True}) + "\n")
    sys.stdout.flush()

    t0_ns = begin.get()
    gevent.spawn(session.watch).link_exception(lambda ended: walked.set_exception(ended.exception))
    environment.user_classes = [_open_loop_user(session, t0_ns, walked)]
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    walked.get()
    session.finish(versions.checker(greenlets.sleep))
    runner.quit()


class _Versions:
    """Who is asked, who accepted documents, and who is asked for them in the end: one version, or two in turn."""

    def __init__(self, plan: LoadPlan, knowledge: Knowledge, transport: GeventTransport, clock: SystemClock, api_key: str | None) -> None:
        self._asked = [(plan, api_key)]
        if plan.candidate_url is not None:
            self._asked.append((plan.of_candidate(), os.environ.get(CANDIDATE_KEY_VARIABLE)))
        self._transport = transport
        self._clock = clock
        self.ingested = SidesLog()
        journeys = [Journeys(one, knowledge, transport, clock, self.ingested.of(side), key) for side, (one, key) in enumerate(self._asked)]
        self.performer: Performer = Sides(journeys, Split(plan.seed, plan.block_s)) if len(journeys) > 1 else journeys[0]

    def checker(self, sleep: Callable[[float], None]) -> SidesChecker:
        checkers = {
            side: IngestChecker(self._transport, one.base_url, key, self._clock, sleep) for side, (one, key) in enumerate(self._asked)
        }
        return SidesChecker(checkers, self.ingested)


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


def _warm(transport: GeventTransport, base_url: str) -> None:
    with gevent.Timeout(_WARM_S, UnreachableError(f"{base_url} accepts no connection within {_WARM_S:g}s")):
        transport.warm(base_url, _WARM_CONNECTIONS)


def _stop(begin: AsyncResult, session: LoadSession) -> None:
    session.stop()
    if not begin.ready():
        begin.set(SystemClock().now_ns())


def _take_orders(begin: AsyncResult, session: LoadSession, main_greenlet: Any) -> None:
    """Read the harness's lines; at their end, break off whatever the main greenlet is waiting for."""
    make_nonblocking(0)
    unread = b""
    while data := nb_read(0, 4096):
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order.get("stop"):
                _stop(begin, session)
            elif not begin.ready():
                begin.set(int(order["t0_ns"]))
    gevent.kill(main_greenlet, HarnessGone)


def _raise_descriptor_limit() -> None:
    """Each request in flight holds a connection; the usual soft limit of 1024 is no reason to drop one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _take_precedence() -> None:
    """An instrument must not wait behind what it measures: beside four processes that burn two cores, real-time
    scheduling keeps the dispatch lag (p99) at 1.3 ms, a lower niceness at 3 to 4, and neither at 14.

    Needs a right that few users have; without it, the health events show what the machine could not give.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except OSError:  # no right to real-time scheduling, or a kernel without it
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
