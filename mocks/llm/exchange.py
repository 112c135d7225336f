"""One request and what became of it: counted, remembered, logged."""

import json
import re
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from mocks.llm.metrics import Metrics

Ending = Literal["complete", "disconnected"]

_JOURNAL_LENGTH = 1_000
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass
class Exchange:
    """A request in hand; times are monotonic seconds. What is not known yet, or never will be, is None."""

    method: str
    route: str
    started_s: float
    request_id: str
    trace_id: str | None = None
    parent_id: str | None = None
    client_attempt: str | None = None
    key: str | None = None
    model: str | None = None
    stream: bool = False
    faults: list[str] = field(default_factory=list)
    status: int = 0
    first_token_s: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str | None = None
    ending: Ending = "complete"

    @classmethod
    def begin(cls, method: str, route: str, headers: Mapping[bytes, bytes], fallback_id: str) -> "Exchange":
        """Note the arrival of a request; its ids come from its headers where they are there."""
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b"").decode("latin-1"))
        return cls(
            method=method,
            route=route,
            started_s=time.monotonic(),
            request_id=given if _REQUEST_ID.fullmatch(given) else fallback_id,
            trace_id=trace.group(1) if trace else None,
            parent_id=trace.group(2) if trace else None,
            client_attempt=headers.get(b"x-stainless-retry-count", b"").decode("latin-1") or None,
        )

    def first_token(self) -> None:
        """Note that the first content has been sent."""
        self.first_token_s = time.monotonic()


class Ledger:
    """Where finished exchanges go: metrics, a journal of bounded length, and a log line each."""

    def __init__(self, metrics: Metrics, service: str, instance: str, *, log_requests: bool) -> None:
        self._metrics = metrics
        self._identity = {"level": "info", "service": service, "instance": instance}
        self._log_requests = log_requests
        self._journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_LENGTH)

    def finish(self, exchange: Exchange) -> None:
        """Record an exchange that has ended now, however it ended."""
        duration_s = time.monotonic() - exchange.started_s
        first_s = exchange.first_token_s - exchange.started_s if exchange.first_token_s is not None else None
        self._metrics.finished(exchange.method, exchange.route, exchange.status, duration_s)
        if exchange.model is not None and exchange.status == 200:
            self._metrics.tokens(exchange.model, exchange.prompt_tokens, exchange.completion_tokens)
        row = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **vars(exchange),
            "duration_ms": round(duration_s * 1_000, 3),
            "ttft_ms": None if first_s is None else round(first_s * 1_000, 3),
        }
        del row["started_s"], row["first_token_s"]
        self._journal.append(row)
        if self._log_requests:
            self._log(row)

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """The last `limit` exchanges that ended, oldest first."""
        return list(self._journal)[-limit:] if limit > 0 else []

    def _log(self, row: Mapping[str, Any]) -> None:
        """The line of the log contract; faults stay out of it, for no provider tells its clients what is wrong with it."""
        line = {name: row[name] for name in ("ts", "request_id", "trace_id", "parent_id", "method", "route", "status", "duration_ms")}
        sys.stdout.write(json.dumps({**line, **self._identity}) + "\n")
        sys.stdout.flush()
