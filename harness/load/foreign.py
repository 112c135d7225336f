"""Requests of a locustfile that is not ours, as its `request` events tell them; and the guard that keeps it on this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Collection, Iterator
from typing import Any

from harness.load.dispatch import Counts
from harness.load.ledger import Ledger
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.recorder import Recorder
from harness.record.clock import Clock
from harness.record.requests import Outcome

_NAMES_MAX = 254  # the record's journeys are counted in one byte
_OTHERS = "(others)"
_TOO_BUSY = (429, 503)


class RequestEvents:
    """The listener of Locust's `request` event. A journey is the type and the name of a request: `GET /api/ask`.

    Locust tells how long a request took, and nothing of when it was due: the load is closed, and latency counts from the actual start.
    """

    def __init__(
        self, clock: Clock, recorder: Recorder, metrics: ClientMetrics, ledger: Ledger, counts: Counts, share: tuple[int, int]
    ) -> None:
        """`share` (n, m): requests are numbered n, n + m, n + 2 m …"""
        self._clock = clock
        self._recorder = recorder
        self._metrics = metrics
        self._ledger = ledger
        self._counts = counts
        self._seqs: Iterator[int] = iter(range(share[0], 2**32, share[1]))
        self._numbers: dict[str, int] = {}

    def heard(self, request_type: str, name: str, response_time: float | None, exception: object = None, **more: Any) -> None:
        """One request has ended; `response_time` is in milliseconds."""
        end_ns = self._clock.now_ns()
        start_ns = end_ns - round(max(0.0, response_time or 0.0) * 1e6)
        observation = Observation(next(self._seqs), self._number(f"{request_type} {name}"), start_ns)
        observation.start_ns, observation.end_ns = start_ns, end_ns
        status = getattr(more.get("response"), "status_code", None)
        observation.status = status if isinstance(status, int) and 0 <= status < 1000 else 0
        observation.size = int(more.get("response_length") or 0)
        observation.outcome = _outcome(exception, observation.status, getattr(more.get("response"), "headers", None))
        self._counts.arrivals += 1
        self._counts.sent += 1
        self._ledger.ended(observation)

    def _number(self, name: str) -> int:
        known = len(self._numbers)
        number = numbered(self._numbers, name)
        if number == known:
            names = tuple(self._numbers)
            self._recorder.rename(names)
            self._metrics.rename(names)
        return number


def numbered(known: dict[str, int], name: str) -> int:
    """The number of a journey, which joins the `known`; beyond as many as the record can tell apart, all are one."""
    if name not in known and len(known) >= _NAMES_MAX:
        name = _OTHERS
    return known.setdefault(name, len(known))


def _outcome(exception: object, status: int, headers: Any) -> Outcome:
    if exception is None:
        return Outcome.OK
    try:
        said_no = status in _TOO_BUSY and headers is not None and headers.get("retry-after") is not None
    except (AttributeError, KeyError):  # headers of a client that we do not know
        said_no = False
    if said_no:
        return Outcome.REJECTED
    return Outcome.TIMEOUT if "timeout" in type(exception).__name__.lower() else Outcome.ERROR


def stay_here(allowed_hosts: Collection[str]) -> None:
    """From now on no socket of this process connects elsewhere than to this machine or an allowed host. Cannot be undone."""
    addresses = {str(info[4][0]) for host in allowed_hosts for info in socket.getaddrinfo(host, None)}

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = str(arguments[1][0])
            if host not in addresses and not _is_here(host):
                raise PermissionError(
                    f"{host} is not this machine; load goes to loopback addresses only, unless the scenario allows the host"
                )

    sys.addaudithook(look)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
