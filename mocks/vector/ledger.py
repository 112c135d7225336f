"""One request and what became of it: the journal's row, the log line, the metrics."""

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

from mocks.http.message import Request
from mocks.journal import Journal
from mocks.vector.metrics import VectorMetrics
from mocks.vector.plan import Product

Ending = Literal["complete", "disconnected", "fin", "reset", "hang"]

UNMATCHED = "unmatched"
"""The route of a request that no route serves."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_LOGGED = ("ts", "request_id", "trace_id", "parent_id", "method", "route", "status", "duration_ms")


class Entry:
    """Written to by those who handle the request. What is not known yet, or never will be, is None; moments are monotonic seconds."""

    def __init__(self, request: Request, product: Product, fallback_id: str) -> None:
        given = request.header("x-request-id")
        self.request = request
        self.arrived_s = request.arrived_s
        self.product = product
        self.request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else fallback_id
        self.open = True
        self.silent = False
        """Whether nothing more would ever have come: the client alone could end it."""
        self.route = UNMATCHED
        self.operation: str | None = None
        self.collection: str | None = None
        self.status = 0
        self.key: str | None = None
        self.attempt = 0
        self.account: str | None = None
        self.tenant: str | None = None
        self.faults: Mapping[str, str] = {}
        """The faults that changed the answer: types by id."""
        self.error: str | None = None
        """What the answer says went wrong, or what a bug of the mock says."""
        self.hits: int | None = None
        """How many points the answer holds; None where it is none of points."""
        self.drawn_s: float | None = None
        """The latency that was drawn, before faults."""
        self.retry_after_s: float | None = None
        self.disconnected_s: float | None = None

    def told(self, headers: Mapping[str, str]) -> None:
        """Note what the answer's headers advise about trying again."""
        for name, value in headers.items():
            if name.lower() == "retry-after" and value.replace(".", "", 1).isdigit():  # it may be a date as well
                self.retry_after_s = float(value)

    def row(self, ending: Ending | None, now_s: float) -> dict[str, Any]:
        """The journal's row, without its `seq`, in a provider's keys where they mean the same; `ending` None: it is not over yet."""
        request = self.request
        trace = _TRACEPARENT.fullmatch(request.header("traceparent") or "")
        return {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "arrived_s": self.arrived_s,
            "duration_ms": _ms(now_s, self.arrived_s),
            "method": request.method,
            "route": self.route,
            "path": request.path,
            "dialect": self.product,
            "operation": self.operation,
            "collection": self.collection,
            "status": self.status,
            "request_id": self.request_id,
            "trace_id": trace[1] if trace else None,
            "parent_id": trace[2] if trace else None,
            "user_agent": request.header("user-agent"),
            "account": self.account,
            "tenant": self.tenant,
            "connection": request.connection,
            "sequence": request.sequence,
            "key": self.key,
            "body_sha": self.key,
            "attempt": self.attempt,
            "hits": self.hits,
            "faults": [{"id": id, "type": kind} for id, kind in self.faults.items()],
            "error": self.error,
            "retry_after_s": self.retry_after_s,
            "drawn_ms": _ms(self.drawn_s),
            "ending": ending,
            "disconnected_after_ms": _ms(self.disconnected_s, self.arrived_s),
        }


class Ledger:
    """Where entries go when they are over; those that are not are known as well."""

    def __init__(self, metrics: VectorMetrics, journal: Journal, service: str, instance: str, *, log_requests: bool) -> None:
        self.metrics = metrics
        self.journal = journal
        self._identity = {"level": "info", "service": service, "instance": instance, "channel": "access"}
        self._log_requests = log_requests
        self._open: dict[Entry, None] = {}

    def arrived(self, entry: Entry) -> None:
        """A request has come."""
        self._open[entry] = None
        self.metrics.in_progress += 1

    def finish(self, entry: Entry, ending: Ending) -> None:
        """It is over, now; a second time changes nothing."""
        if not entry.open:
            return
        entry.open = False
        del self._open[entry]
        now_s = monotonic()
        row = entry.row(ending, now_s)
        self.metrics.answered(entry.request.method, entry.route, entry.status, now_s - entry.arrived_s)
        self.journal.append(row)
        if self._log_requests:  # faults stay out of it: no service tells its clients what is wrong with it
            sys.stdout.write(json.dumps({**{name: row[name] for name in _LOGGED}, **self._identity}) + "\n")
            sys.stdout.flush()

    def open_rows(self, limit: int) -> list[dict[str, Any]]:
        """The oldest requests that are still being answered, hanging ones among them."""
        now_s = monotonic()
        return [entry.row(None, now_s) for entry, _ in zip(self._open, range(limit), strict=False)]


def _ms(moment_s: float | None, since_s: float = 0.0) -> float | None:
    return None if moment_s is None else round((moment_s - since_s) * 1_000, 3)
