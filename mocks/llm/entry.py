"""One request and what became of it: the journal's row, the log line, the metrics."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

from mocks.http.message import Request
from mocks.journal import Journal
from mocks.llm.dialects.base import DialectName
from mocks.llm.exposition import Metrics

Ending = Literal["complete", "disconnected", "fin", "reset", "hang"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NONE: Mapping[str, str] = {}
_LOGGED = ("ts", "request_id", "trace_id", "parent_id", "method", "route", "status", "duration_ms")


class Entry:
    """Written to by those who handle the request. What is not known yet, or never will be, is None; moments are monotonic seconds."""

    __slots__ = (
        *("account", "arrived_s", "attempt", "completion_tokens", "content_sent_tokens", "dialect", "disconnected_s", "drawn_itl_s"),
        *("drawn_ttft_s", "error", "faults", "finish_reason", "first_token_s", "key", "model", "open", "organization", "prompt_tokens"),
        *("queued_s", "request", "request_id", "retry_after_s", "route", "should_retry", "silent", "status", "stream", "tenant"),
    )

    def __init__(self, request: Request, route: str, dialect: DialectName, fallback_id: str) -> None:
        given = request.headers.get(b"x-request-id")
        self.request = request
        self.arrived_s = request.arrived_s
        self.route = route
        self.dialect = dialect
        self.request_id = fallback_id if given is None else _checked(given, fallback_id)
        self.open = True
        self.silent = False
        """Whether nothing more would ever have come: the client alone could end it."""
        self.status = 0
        self.stream = False
        self.attempt = self.prompt_tokens = self.completion_tokens = self.content_sent_tokens = 0
        self.queued_s = 0.0
        self.faults: Mapping[str, str] = _NONE
        """The faults that changed the answer: types by id."""
        self.key: str | None = None
        self.model: str | None = None
        self.account: str | None = None
        self.organization: str | None = None
        self.tenant: str | None = None
        self.finish_reason: str | None = None
        self.error: str | None = None
        """The provider's code or type of the error that was answered, or what a bug of the mock says."""
        self.retry_after_s: float | None = None
        self.should_retry: bool | None = None
        self.drawn_ttft_s: float | None = None
        self.drawn_itl_s: float | None = None
        self.first_token_s: float | None = None
        self.disconnected_s: float | None = None

    def told(self, headers: Mapping[str, str]) -> None:
        """Note what the answer's headers advise about trying again."""
        for name, unit_s in (("retry-after", 1.0), ("retry-after-ms", 0.001)):
            if name in headers:
                self.retry_after_s = float(headers[name]) * unit_s
        if "x-should-retry" in headers:
            self.should_retry = headers["x-should-retry"] == "true"

    def row(self, ending: Ending | None, now_s: float) -> dict[str, Any]:
        """The journal's row, without its `seq`; `ending` None: it is still being answered."""
        request = self.request
        headers = request.headers
        trace = _trace(headers)
        since_s = self.arrived_s
        return {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "arrived_s": since_s,
            "duration_ms": _ms(now_s, since_s),
            "method": request.method,
            "route": self.route,
            "path": request.path,
            "dialect": self.dialect,
            "status": self.status,
            "request_id": self.request_id,
            "trace_id": trace[0],
            "parent_id": trace[1],
            "client_attempt": _text(headers, b"x-stainless-retry-count"),
            "user_agent": _text(headers, b"user-agent"),
            "account": self.account,
            "tenant": self.tenant,
            "connection": request.connection,
            "sequence": request.sequence,
            "key": self.key,
            "body_sha": self.key or hashlib.blake2b(request.body, digest_size=16).hexdigest(),
            "attempt": self.attempt,
            "model": self.model,
            "stream": self.stream,
            "faults": [{"id": fault_id, "type": kind} for fault_id, kind in self.faults.items()],
            "error": self.error,
            "retry_after_s": self.retry_after_s,
            "should_retry": self.should_retry,
            "drawn_ttft_ms": _ms(self.drawn_ttft_s),
            "drawn_itl_ms": _ms(self.drawn_itl_s),
            "queued_ms": _ms(self.queued_s),
            "ttft_ms": _ms(self.first_token_s, since_s),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "content_sent_tokens": self.content_sent_tokens,
            "finish_reason": self.finish_reason,
            "ending": ending,
            "disconnected_after_ms": _ms(self.disconnected_s, since_s),
        }


class Ledger:
    """Where entries go when they are over; those that are not are known as well."""

    def __init__(self, metrics: Metrics, journal: Journal, service: str, instance: str, *, log_requests: bool) -> None:
        self.metrics = metrics
        self.journal = journal
        self._identity = {"level": "info", "service": service, "instance": instance}
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
        if self._log_requests:
            self._log(row)

    def open_rows(self, limit: int) -> list[dict[str, Any]]:
        """The oldest requests that are still being answered, hanging ones among them."""
        now_s = monotonic()
        return [entry.row(None, now_s) for entry, _ in zip(self._open, range(limit), strict=False)]

    def _log(self, row: Mapping[str, Any]) -> None:
        """The line of the log contract; faults stay out of it, for no provider tells its clients what is wrong with it."""
        sys.stdout.write(json.dumps({**{name: row[name] for name in _LOGGED}, **self._identity}) + "\n")
        sys.stdout.flush()


def _checked(given: bytes, fallback: str) -> str:
    text = given.decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else fallback


def _trace(headers: Mapping[bytes, bytes]) -> tuple[str | None, str | None]:
    given = headers.get(b"traceparent")
    found = None if given is None else _TRACEPARENT.fullmatch(given.decode("latin-1"))
    return (found.group(1), found.group(2)) if found else (None, None)


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    given = headers.get(name)
    return None if given is None else given.decode("latin-1")


def _ms(moment_s: float | None, since_s: float = 0.0) -> float | None:
    return None if moment_s is None else round((moment_s - since_s) * 1_000, 3)
