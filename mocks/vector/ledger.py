"""One request and what became of it: the journal's row, the log line, the metrics."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic, time
from types import MappingProxyType
from typing import Any, ClassVar

from mocks.common import ledger as common
from mocks.common.ledger import Ending
from mocks.http.message import Request
from mocks.vector.metrics import VectorMetrics
from mocks.vector.plan import Product

UNMATCHED = "unmatched"
"""The route of a request that no route serves."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_TRACEPARENT_SIZE = 55
_SIZE = 1_200  # bytes of an entry with its numbers and ids, about
_MOST_ERROR = 500  # characters: a refusal may quote all of a request, and the journal shall not keep it


class Entry:
    """Written to by those who handle the request. What is not known yet, or never will be, is None; moments are monotonic seconds.

    A plain class with defaults, since most requests leave many of them alone.
    """

    open = True
    silent = False
    """Whether nothing more would ever have come: the client alone could end it."""
    route = UNMATCHED
    operation: str | None = None
    collection: str | None = None
    status = 0
    key: str | None = None
    attempt = 0
    account: str | None = None
    tenant: str | None = None
    faults: Mapping[str, str] = MappingProxyType({})
    """The faults that changed the answer: types by id."""
    error: str | None = None
    """What the answer says went wrong, or what a bug of the mock says."""
    hits: int | None = None
    """How many points the answer holds; None where it is none of points."""
    drawn_s: float | None = None
    """The latency that was drawn, before faults."""
    retry_after_s: float | None = None
    disconnected_s: float | None = None
    ending: Ending | None = None
    ended_s = ended_wall_s = 0.0

    def __init__(self, request: Request, product: Product, fallback_id: str) -> None:
        given = request.header("x-request-id")
        self.request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else fallback_id
        self.product = product
        self.method = request.method
        self.path = request.path
        self.connection = request.connection
        self.sequence = request.sequence
        self.arrived_s = request.arrived_s
        self._user_agent = request.header("user-agent")
        traceparent = request.header("traceparent")
        self._traceparent = traceparent if traceparent is not None and len(traceparent) == _TRACEPARENT_SIZE else ""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes; the same ever after once it is over."""
        return _SIZE + sum(map(len, filter(None, (self.path, self.collection, self.tenant, self._user_agent, self.error))))

    def failed(self, error: str) -> None:
        """Note what the answer says went wrong, as far as it is worth keeping."""
        self.error = error if len(error) <= _MOST_ERROR else error[:_MOST_ERROR] + "…"

    def told(self, headers: Mapping[str, str]) -> None:
        """Note what the answer's headers advise about trying again."""
        for name, value in headers.items():
            if name.lower() == "retry-after" and value.replace(".", "", 1).isdigit():  # it may be a date as well
                self.retry_after_s = float(value)

    def logged(self) -> dict[str, Any]:
        """What the line of the log contract says of it."""
        over = self.ending is not None
        trace = _TRACEPARENT.fullmatch(self._traceparent)
        return {
            "ts": datetime.fromtimestamp(self.ended_wall_s if over else time(), UTC).isoformat(timespec="milliseconds"),
            "request_id": self.request_id,
            "trace_id": trace[1] if trace else None,
            "parent_id": trace[2] if trace else None,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "duration_ms": _ms(self.ended_s if over else monotonic(), self.arrived_s),
        }

    def row(self) -> dict[str, Any]:
        """The journal's row, without its `seq`, in a provider's keys where they mean the same; `ending` None: it is not over yet."""
        return {
            **self.logged(),
            "arrived_s": self.arrived_s,
            "path": self.path,
            "dialect": self.product,
            "operation": self.operation,
            "collection": self.collection,
            "user_agent": self._user_agent,
            "account": self.account,
            "tenant": self.tenant,
            "connection": self.connection,
            "sequence": self.sequence,
            "key": self.key,
            "body_sha": self.key,
            "attempt": self.attempt,
            "hits": self.hits,
            "faults": [{"id": id, "type": kind} for id, kind in self.faults.items()],
            "error": self.error,
            "retry_after_s": self.retry_after_s,
            "drawn_ms": _ms(self.drawn_s),
            "ending": self.ending,
            "disconnected_after_ms": _ms(self.disconnected_s, self.arrived_s),
        }


class Ledger(common.Ledger[Entry, VectorMetrics]):
    """Where entries go when they are over."""

    labels: ClassVar[dict[str, str]] = {"channel": "access"}


def _ms(moment_s: float | None, since_s: float = 0.0) -> float | None:
    return None if moment_s is None else round((moment_s - since_s) * 1_000, 3)
