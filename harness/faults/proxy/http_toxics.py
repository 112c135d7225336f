"""Toxics of requests and answers: each decides about one request when its head has come, whatever connection it came on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import ClassVar

from harness.faults.proxy.piece import ToxicError, a_share, at_least

_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "trailer"})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that the proxy gives itself. `headers` are whole lines."""

    status: int
    headers: tuple[str, ...] = ()

    def encode(self, method: bytes, *, last: bool) -> bytes:
        """As it is sent; `last`: the connection ends behind it."""
        phrase = _PHRASES.get(self.status, "Unknown")
        body = f'{{"error":{{"message":"{phrase}"}}}}'.encode()
        closing = ("connection: close",) if last else ()
        lines = (
            f"HTTP/1.1 {self.status} {phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *self.headers,
            *closing,
        )
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head if method == b"HEAD" else head + body


@dataclass(slots=True)
class Plan:
    """What becomes of one request: when it leaves, whether it is answered here, how the head of its answer is changed, where that ends."""

    now_s: float
    due_s: float
    answer: Answer | None = None
    edits: list[Callable[[bytes], bytes]] = field(default_factory=list)
    cut_after_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpToxic:
    """A fault of requests: `ratio` of those whose path begins with `path`, drawn for each request."""

    name: ClassVar[str]

    path: str = "/"
    ratio: float = 1.0

    def __post_init__(self) -> None:
        a_share(ratio=self.ratio)
        if not self.path.startswith("/"):
            raise ToxicError(f"path must begin with /, not {self.path!r}")
        self._check()

    def befalls(self, path: bytes, rng: Random) -> bool:
        """Whether this request is one of those."""
        return path.startswith(self.path.encode()) and (self.ratio >= 1.0 or rng.random() < self.ratio)

    def apply(self, plan: Plan) -> bool:
        """Change the plan; False when there was nothing to change."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raises ToxicError for parameters of its own that make no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(HttpToxic):
    """The proxy answers with `status`; the callee never sees the request."""

    name: ClassVar[str] = "status"

    status: float = 503

    def apply(self, plan: Plan) -> bool:
        if plan.answer is not None:
            return False
        plan.answer = Answer(int(self.status))
        return True

    def _check(self) -> None:
        if self.status not in range(200, 600) or self.status in (204, 304):
            raise ToxicError(f"status must be one from 200 to 599 with a body, not {self.status:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(HttpToxic):
    """The request reaches the callee `delay_s` later."""

    name: ClassVar[str] = "delay"

    delay_s: float

    def apply(self, plan: Plan) -> bool:
        plan.due_s += self.delay_s
        return True

    def _check(self) -> None:
        at_least(0, delay_s=self.delay_s)


@dataclass(slots=True)
class Bucket:
    """Tokens that requests take; None until the first asks, when it is full."""

    tokens: float | None = None
    filled_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited(HttpToxic):
    """More than `rate_per_s` requests (`burst` at once) are answered with 429 and Retry-After."""

    name: ClassVar[str] = "rate_limited"

    rate_per_s: float
    burst: float = 1.0
    retry_after_s: float = 1.0
    bucket: Bucket = field(default_factory=Bucket, init=False, compare=False)

    def apply(self, plan: Plan) -> bool:
        if plan.answer is not None or self._admits(plan.now_s):
            return False
        plan.answer = Answer(429, (f"retry-after: {int(self.retry_after_s)}",))
        return True

    def _admits(self, now_s: float) -> bool:
        bucket = self.bucket
        if bucket.tokens is None:
            bucket.tokens = self.burst
        else:
            bucket.tokens = min(self.burst, bucket.tokens + (now_s - bucket.filled_s) * self.rate_per_s)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _check(self) -> None:
        at_least(0, rate_per_s=self.rate_per_s, burst=self.burst, retry_after_s=self.retry_after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated(HttpToxic):
    """The body of the answer ends after `after_bytes`, and the connection with it; its head has promised all."""

    name: ClassVar[str] = "truncated"

    after_bytes: float = 0.0

    def apply(self, plan: Plan) -> bool:
        plan.cut_after_bytes = min(int(self.after_bytes), plan.cut_after_bytes or int(self.after_bytes))
        return True

    def _check(self) -> None:
        at_least(0, after_bytes=self.after_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderDropped(HttpToxic):
    """The answer lacks a header."""

    name: ClassVar[str] = "header_dropped"

    header: str

    def apply(self, plan: Plan) -> bool:
        pattern = _header(self.header)
        plan.edits.append(lambda head: pattern.sub(b"", head))
        return True

    def _check(self) -> None:
        if not _TOKEN.fullmatch(self.header) or self.header.lower() in _FRAMING:
            raise ToxicError(f"header must be the name of one that does not frame the message, not {self.header!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentType(HttpToxic):
    """The answer says that it is something else."""

    name: ClassVar[str] = "content_type"

    content_type: str = "text/html"

    def apply(self, plan: Plan) -> bool:
        pattern, line = _header("content-type"), b"\r\ncontent-type: " + self.content_type.encode()
        plan.edits.append(lambda head: pattern.sub(b"", head)[:-4] + line + b"\r\n\r\n")
        return True


def _header(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n" + re.escape(name.encode()) + rb":[^\r\n]*(?=\r\n)", re.IGNORECASE)
