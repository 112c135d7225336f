"""Faults of requests between two services that speak HTTP: each is drawn for a request, not for a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from harness.faults.base import Evidence
from harness.faults.http_talk import SPEAK_HTTP, Reply, RequestFault, RequestParameters
from harness.faults.network_talk import DIRECT_PATIENCE_S, MEND
from harness.scenario.catalog import FaultSpec
from harness.scenario.model import Duration, Rate

CLEARLY = 0.9  # of a delay, at least, must show
FRAMING = ("content-length", "transfer-encoding", "connection", "upgrade", "trailer")


def _spec(name: str, summary: str, parameters: type[RequestParameters], evidence: str, with_: str) -> FaultSpec:
    target = "query->retrieval"
    return FaultSpec(
        name=name,
        summary=summary,
        kind="network",
        parameters=parameters,
        targets=("edge",),
        needs=("Proxied",),
        only_roles=SPEAK_HTTP,
        evidence=evidence,
        example=f"{{id: bad-answers, type: {name}, target: {target}, at: fault, for: 30s, with: {with_}}}",
        recoverable_by=MEND,
    )


class StatusParameters(RequestParameters):
    """Parameters of `http.status`."""

    status: int = Field(default=503, ge=400, le=599, description="of the answer", json_schema_extra={"unit": "status"})


class HttpStatus(RequestFault[StatusParameters]):
    """Some requests are answered with an error on the way; the callee never sees them."""

    spec = _spec(
        "http.status",
        "Answers some requests with an error status; the callee never sees them.",
        StatusParameters,
        "requests of our own through the proxy get that status, those past it do not; gone: none does",
        "{status: 503, ratio: 30%}",
    )

    def toxic(self) -> Mapping[str, Any]:
        return {"type": "status", "status": self.parameters.status}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        if reply.status != self.parameters.status or direct.status == reply.status:
            return None
        return {"status": reply.status, "direct_status": direct.status}


class DelayParameters(RequestParameters):
    """Parameters of `http.delay`."""

    delay: Duration = Field(description="before the request reaches the callee", ge=0.02, le=30.0, json_schema_extra={"unit": "duration"})


class HttpDelay(RequestFault[DelayParameters]):
    """Some requests reach the callee late; others on the same connections do not."""

    spec = _spec(
        "http.delay",
        "Delays some requests, whatever connection they come on.",
        DelayParameters,
        "requests of our own through the proxy take as much longer as asked; gone: none does",
        "{delay: 800ms, ratio: 20%}",
    )

    def toxic(self) -> Mapping[str, Any]:
        return {"type": "delay", "delay_s": self.parameters.delay}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        through_s, direct_s = reply.talk.answered_s, direct.talk.answered_s or 0.0
        if through_s is None or through_s - direct_s < CLEARLY * self.parameters.delay:
            return None
        return {"through_s": through_s, "direct_s": direct_s, "asked_s": self.parameters.delay}

    @property
    def patience_s(self) -> float:
        return DIRECT_PATIENCE_S + self.parameters.delay


class TruncatedParameters(RequestParameters):
    """Parameters of `http.truncated`."""

    after_bytes: int = Field(
        default=0, ge=0, le=1_000_000, description="of the body that still arrive", json_schema_extra={"unit": "bytes"}
    )


class HttpTruncated(RequestFault[TruncatedParameters]):
    """Answers end before their time: the head promises more than comes, and the connection closes in order."""

    spec = _spec(
        "http.truncated",
        "Ends the body of some answers early, and the connection with it; bodies that are shorter are not touched.",
        TruncatedParameters,
        "bodies of answers to our own requests end after exactly so many bytes, past the proxy they are longer; gone: all are whole",
        "{after_bytes: 20, ratio: 20%}",
    )

    def toxic(self) -> Mapping[str, Any]:
        return {"type": "truncated", "after_bytes": self.parameters.after_bytes}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        short = reply.status != 0 and len(reply.body) == self.parameters.after_bytes < len(direct.body)
        return {"body_bytes": len(reply.body), "direct_body_bytes": len(direct.body)} if short else None


class HeaderDroppedParameters(RequestParameters):
    """Parameters of `http.header_dropped`."""

    header: str = Field(
        default="content-type",
        pattern=r"^[a-z0-9!#$%&'*+.^_`|~-]+$",
        description="of the answer, its name in lower case; none of those that frame the message",
        json_schema_extra={"unit": "header"},
    )

    @field_validator("header")
    @classmethod
    def _frames_nothing(cls, name: str) -> str:
        if name in FRAMING:
            raise ValueError(f"{name} frames the message: without it nobody could tell what comes next; write another one")
        return name


class HttpHeaderDropped(RequestFault[HeaderDroppedParameters]):
    """Answers lack a header."""

    spec = _spec(
        "http.header_dropped",
        "Takes a header out of some answers.",
        HeaderDroppedParameters,
        "answers to our own requests lack the header that those past the proxy have; gone: all have it",
        "{header: content-type}",
    )

    def toxic(self) -> Mapping[str, Any]:
        return {"type": "header_dropped", "header": self.parameters.header}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        name = self.parameters.header
        if reply.status == 0 or name in reply.headers or name not in direct.headers:
            return None
        return {"header": name, "headers": len(reply.headers), "direct_headers": len(direct.headers)}


class ContentTypeParameters(RequestParameters):
    """Parameters of `http.wrong_content_type`."""

    content_type: str = Field(
        default="text/html", pattern=r"^[!-~]+/[ -~]+$", description="that answers claim", json_schema_extra={"unit": "type"}
    )


class HttpWrongContentType(RequestFault[ContentTypeParameters]):
    """Answers claim to be something else."""

    spec = _spec(
        "http.wrong_content_type",
        "Lets some answers claim another content type; their bodies stay as they are.",
        ContentTypeParameters,
        "answers to our own requests claim that type, those past the proxy another; gone: all claim the same",
        "{content_type: text/html}",
    )

    def toxic(self) -> Mapping[str, Any]:
        return {"type": "content_type", "content_type": self.parameters.content_type}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        claimed, own = reply.headers.get("content-type", ""), direct.headers.get("content-type", "")
        if claimed != self.parameters.content_type or own == claimed:
            return None
        return {"content_type": claimed, "direct_content_type": own}


class RateLimitedParameters(RequestParameters):
    """Parameters of `http.rate_limited`."""

    rate: Rate = Field(description="of requests that are let through", le=50.0, json_schema_extra={"unit": "rate"})
    burst: int = Field(default=1, ge=1, le=20, description="let through at once", json_schema_extra={"unit": "requests"})
    retry_after: Duration = Field(default=1.0, ge=0.0, le=600.0, description="in whole seconds", json_schema_extra={"unit": "duration"})


class HttpRateLimited(RequestFault[RateLimitedParameters]):
    """More requests than so many a second are answered with 429 and Retry-After."""

    spec = _spec(
        "http.rate_limited",
        "Answers requests above a rate with 429 and Retry-After, counted over all connections of the edge.",
        RateLimitedParameters,
        "requests of our own through the proxy get 429 with Retry-After, those past it do not; gone: none does",
        "{rate: 5/s, burst: 5, retry_after: 2s}",
    )

    def toxic(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {"type": "rate_limited", "rate_per_s": wanted.rate, "burst": wanted.burst, "retry_after_s": wanted.retry_after}

    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        if reply.status != 429 or direct.status == 429 or "retry-after" not in reply.headers:
            return None
        return {"status": 429, "retry_after": reply.headers["retry-after"], "direct_status": direct.status}


FAULTS = (HttpStatus, HttpDelay, HttpTruncated, HttpHeaderDropped, HttpWrongContentType, HttpRateLimited)
