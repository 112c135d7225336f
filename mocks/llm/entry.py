"""One request and what became of it: the journal's row and the log line."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic, time
from types import MappingProxyType
from typing import Any

from mocks.common.latency import Drawn
from mocks.common.ledger import Ending
from mocks.http.message import Request
from mocks.llm.dialects.base import DialectName

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_SIZE = 1_200  # bytes of an entry with its numbers and ids, measured


class Entry:
    """Written to by those who handle the request. What is not known yet, or never will be, is None; moments are monotonic seconds.

    A plain class with defaults, since most requests leave most of them alone.
    """

    open = True
    silent = False
    """Whether nothing more would ever have come: the client alone could end it."""
    status = 0
    stream = False
    attempt = prompt_tokens = completion_tokens = content_sent_tokens = 0
    queued_s = 0.0
    faults: Mapping[str, str] = MappingProxyType({})
    """The faults that changed the answer: types by id."""
    key: str | None = None
    body_sha: str | None = None
    """Of a body that was refused before it had a key."""
    model: str | None = None
    account: str | None = None
    organization: str | None = None
    tenant: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    """The provider's code or type of the error that was answered, or what a bug of the mock says."""
    retry_after_s: float | None = None
    should_retry: bool | None = None
    drawn: Drawn | None = None
    first_token_s: float | None = None
    last_sent_s: float | None = None
    """When something of a stream, but for pings, left last."""
    disconnected_s: float | None = None
    ending: Ending | None = None
    ended_s = ended_wall_s = 0.0

    def __init__(self, request: Request, route: str, dialect: DialectName, request_id: str) -> None:
        headers = request.headers
        self.request_id = request_id
        self.route = route
        self.dialect: DialectName = dialect
        self.method = request.method
        self.path = request.path
        self.connection = request.connection
        self.sequence = request.sequence
        self.arrived_s = request.arrived_s
        self._user_agent = headers.get(b"user-agent")
        self._traceparent = headers.get(b"traceparent")
        self._retry_count = headers.get(b"x-stainless-retry-count")
        self.size = _SIZE + len(self.path) + len(self._user_agent or b"") + len(self._traceparent or b"") + len(self._retry_count or b"")
        """About how many bytes of memory it takes."""

    def asked_for(self, tenant: str) -> None:
        """Whom the caller says it asks for: a text of any length, which the journal keeps."""
        self.tenant = tenant
        self.size += len(tenant)

    def told(self, headers: Mapping[str, str]) -> None:
        """Note what the answer's headers advise about trying again."""
        for name, unit_s in (("retry-after", 1.0), ("retry-after-ms", 0.001)):
            if name in headers:
                self.retry_after_s = float(headers[name]) * unit_s
        if "x-should-retry" in headers:
            self.should_retry = headers["x-should-retry"] == "true"

    def logged(self) -> dict[str, Any]:
        """What the line of the log contract says of it."""
        over = self.ending is not None
        trace = None if self._traceparent is None else _TRACEPARENT.fullmatch(self._traceparent.decode("latin-1"))
        return {
            "ts": datetime.fromtimestamp(self.ended_wall_s if over else time(), UTC).isoformat(timespec="milliseconds"),
            "request_id": self.request_id,
            "trace_id": trace.group(1) if trace else None,
            "parent_id": trace.group(2) if trace else None,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "duration_ms": _ms(self.ended_s if over else monotonic(), self.arrived_s),
        }

    def row(self) -> dict[str, Any]:
        """The journal's row, without its `seq`; `ending` None: it is still being answered."""
        since_s, drawn = self.arrived_s, self.drawn
        return {
            **self.logged(),
            "arrived_s": since_s,
            "path": self.path,
            "dialect": self.dialect,
            "client_attempt": _text(self._retry_count),
            "user_agent": _text(self._user_agent),
            "account": self.account,
            "tenant": self.tenant,
            "connection": self.connection,
            "sequence": self.sequence,
            "key": self.key,
            "body_sha": self.key or self.body_sha,
            "attempt": self.attempt,
            "model": self.model,
            "stream": self.stream,
            "faults": [{"id": fault_id, "type": kind} for fault_id, kind in self.faults.items()],
            "error": self.error,
            "retry_after_s": self.retry_after_s,
            "should_retry": self.should_retry,
            "drawn_ttft_ms": None if drawn is None else _ms(drawn.ttft_s),
            "drawn_itl_ms": None if drawn is None else _ms(drawn.itl_s),
            "queued_ms": _ms(self.queued_s),
            "ttft_ms": _ms(self.first_token_s, since_s),
            "last_sent_ms": _ms(self.last_sent_s, since_s),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "content_sent_tokens": self.content_sent_tokens,
            "finish_reason": self.finish_reason,
            "ending": self.ending,
            "disconnected_after_ms": _ms(self.disconnected_s, since_s),
        }


def request_id(request: Request, fallback: str) -> str:
    """What the caller has named its request, where that may stand in a header and a log; else `fallback`."""
    given = request.headers.get(b"x-request-id")
    if given is None:
        return fallback
    text = given.decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else fallback


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _ms(moment_s: float | None, since_s: float = 0.0) -> float | None:
    return None if moment_s is None else round((moment_s - since_s) * 1_000, 3)
