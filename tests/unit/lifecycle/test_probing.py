"""Probes are asked when it is their time, and whatever goes wrong with asking is an answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from harness.lifecycle.probe_kinds import Answer, ask
from harness.lifecycle.probing import Prober, turns
from harness.lifecycle.timeline import plan
from harness.record.clock import NS_PER_S, SystemClock
from harness.record.events import Event
from harness.scenario.model import Scenario
from harness.scenario.probes import Probe
from harness.stack.base import Instance
from tests.history_builder import scenario

HTTP = {"http": {"service": "gateway"}}
FAULT = {"id": "f", "type": "process.kill", "target": "retrieval-2", "at": "fault+5s", "for": "20s"}


def asking(*probes: dict[str, Any], **fields: Any) -> Scenario:
    return scenario(probes=[{"id": f"p{n}", **HTTP, **probe} for n, probe in enumerate(probes)], **{"faults": [FAULT], **fields})


@pytest.mark.parametrize(
    ("probe", "start_s", "end_s"),
    [
        ({"mode": "continuous"}, 0, 100),
        ({"mode": "during"}, 30, 70),
        ({"mode": "on_fault", "fault": "f"}, 35, 70),
        ({"mode": "before"}, 34, 35),
        ({"mode": "before", "retries": 2, "every": "3s", "timeout": "2s"}, 23, 35),
        ({"mode": "before", "retries": 100}, 0, 35),
    ],
)
def test_when_they_are_asked(probe: dict[str, Any], start_s: float, end_s: float) -> None:
    of = asking(probe)
    (turn,) = turns(of, plan(of, 7 * NS_PER_S))
    assert ((turn.start_ns / NS_PER_S) - 7, (turn.end_ns / NS_PER_S) - 7) == (start_s, end_s)


def test_nobody_plans_what_comes_after() -> None:
    of = asking({"mode": "after"})
    assert turns(of, plan(of, 0)) == []


class Asked:
    """Gives the answers it was told, then yes; tells when there were enough."""

    def __init__(self, *answers: Answer | Exception, enough: int = 1) -> None:
        self.answers = list(answers)
        self.events: list[Event] = []
        self.enough = enough
        self.done = threading.Event()

    def __call__(self, _probe: Probe) -> Answer:
        answer = self.answers.pop(0) if self.answers else Answer(True, "fine")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def append(self, event: Event) -> Event:
        self.events.append(event)
        if len(self.events) >= self.enough:
            self.done.set()
        return event

    @property
    def oks(self) -> list[object]:
        return [event.data["ok"] for event in self.events]


@contextmanager
def played(asked: Asked, *probes: dict[str, Any], phases: dict[str, str]) -> Iterator[Prober]:
    of = asking(*probes, phases=phases, faults=[])
    clock = SystemClock()
    prober = Prober(of, asked, asked.append, clock)
    prober.begin(plan(of, clock.now_ns()))
    try:
        yield prober
    finally:
        prober.stop()


def test_it_is_asked_again_and_again_until_the_run_ends() -> None:
    asked = Asked(ValueError("torn"), Answer(False, "HTTP 503", 503), enough=4)
    with played(asked, {"mode": "continuous", "every": "5ms"}, phases={"fault": "600s"}):
        assert asked.done.wait(60)
    assert asked.oks[:4] == [None, False, True, True]
    assert [asked.events[n].data["detail"] for n in (0, 1)] == ["ValueError: torn", "HTTP 503"]
    assert {event.data["id"] for event in asked.events} == {"p0"}


def test_it_ends_with_its_time() -> None:
    asked = Asked()
    with played(asked, {"mode": "continuous", "every": "1ms"}, phases={"fault": "10ms"}) as prober:
        for thread in prober._threads:
            thread.join(60)
            assert not thread.is_alive()
    assert 1 <= len(asked.events) <= 10


def test_after_the_faults_it_is_asked_until_it_says_yes() -> None:
    for answers, oks in (((False, None, True), [False, None, True]), ((False,) * 9, [False] * 4)):
        asked = Asked(*(Answer(ok, "told") for ok in answers))
        with played(asked, {"mode": "after", "retries": 3, "every": "1ms"}, phases={"fault": "1s"}) as prober:
            prober.finish()
        assert asked.oks == oks


def test_a_late_yes_is_a_no() -> None:
    class Clock(SystemClock):
        def now_ns(self) -> int:
            self.told = getattr(self, "told", 0) + 3 * NS_PER_S
            return self.told

    asked = Asked()
    prober = Prober(asking({"mode": "after"}), asked, asked.append, Clock())
    prober.finish()
    (event,) = asked.events
    assert (event.data["ok"], event.data["detail"], event.data["took_s"]) == (False, "fine, after 3.00s", 3.0)


# What is asked.


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/health": (200, b'{"status": "ok"}'),
            "/metrics": (200, b'pool_in_use{pool="a"} 3\npool_in_use{pool="b"} 4\n'),
        }.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Stack:
    """A service with one instance that answers and one that is dead, and a database."""

    info = SimpleNamespace(services={"gateway": 2, "postgres": 1})

    def __init__(self, url: str) -> None:
        self.url = url

    def instances(self, service: str) -> Sequence[Instance]:
        if service == "postgres":
            return [Instance("postgres", "postgres", "postgresql://127.0.0.1:1", "1")]
        return [Instance(service, "gateway-1", "http://127.0.0.1:1", "1"), Instance(service, "gateway-2", self.url, "1")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Stack(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def answer(stack: Stack, timeout: str = "10s", **question: Any) -> Answer:
    probe = Probe.model_validate({"id": "p", "mode": "continuous", "timeout": timeout, **question})
    return ask(probe, stack, "run")  # type: ignore[arg-type]  # the part of a stack that it needs


@pytest.mark.parametrize(
    ("http", "ok", "detail"),
    [
        ({"service": "gateway", "path": "/health"}, True, "HTTP 200"),  # one of its instances does
        ({"service": "gateway-2", "path": "/health", "contains": '"ok"'}, True, "HTTP 200"),
        ({"service": "gateway-2", "path": "/health", "contains": "well"}, False, "HTTP 200, without 'well' in its 16 bytes"),
        ({"service": "gateway-2", "path": "/nowhere"}, False, "HTTP 404"),
        ({"service": "gateway-2", "path": "/nowhere", "status": 404}, True, "HTTP 404"),
        ({"service": "gateway-1"}, False, "ConnectionRefusedError"),
        ({"url": "http://127.0.0.1:1/"}, False, "ConnectionRefusedError"),
        ({"service": "postgres"}, None, "postgres has no instance that speaks HTTP"),
        ({"service": "gateway-3"}, None, "the stack has no gateway-3 just now"),
    ],
)
def test_over_http(stack: Stack, http: dict[str, Any], ok: bool | None, detail: str) -> None:
    found = answer(stack, http=http)
    assert found.ok is ok
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(
    ("argv", "ok", "detail"),
    [
        ([sys.executable, "-c", "print('{gateway-2}')"], True, "status 0: http://127.0.0.1:"),
        ([sys.executable, "-c", "import sys; sys.exit('no documents')"], False, "status 1: no documents"),
        (["/nowhere/at-all"], None, "/nowhere/at-all cannot be started: No such file or directory"),
    ],
)
def test_by_a_command(stack: Stack, argv: list[str], ok: bool | None, detail: str) -> None:
    found = answer(stack, command=argv)
    assert found.ok is ok
    assert found.detail.startswith(detail)


def test_a_command_that_does_not_end(stack: Stack) -> None:
    found = answer(stack, "10ms", command=[sys.executable, "-c", "import time; time.sleep(600)"])
    assert (found.ok, found.detail) == (False, "no answer within 0.01s")


@pytest.mark.parametrize(
    ("metric", "ok", "detail"),
    [
        ({"service": "gateway-2", "name": "pool_in_use", "is": "<= 7"}, True, "pool_in_use is 7"),
        ({"service": "gateway-2", "name": "pool_in_use", "is": "< 7"}, False, "pool_in_use is 7"),
        ({"service": "gateway-2", "name": "pool_in_use", "labels": {"pool": "b"}, "is": "<= 4"}, True, 'pool_in_use{pool="b"} is 4'),
        ({"service": "gateway-2", "name": "pool_idle", "is": "<= 4"}, None, "no instance of gateway-2 exposes pool_idle"),
        ({"service": "gateway", "name": "pool_in_use", "is": "<= 7"}, None, "the metrics of gateway-1 cannot be read"),
    ],
)
def test_of_a_metric(stack: Stack, metric: dict[str, Any], ok: bool | None, detail: str) -> None:
    """A sum without one of its parts is none: silence of an instance never passes."""
    found = answer(stack, metric=metric)
    assert found.ok is ok
    assert found.detail.startswith(detail)
