"""Rows that every kind of mock has: what becomes of connections, heads and bodies."""

from __future__ import annotations

from typing import Any

from harness.faults.programmed import sees
from harness.faults.programmed.row import Row
from harness.faults.programmed.settings import Setting, choice, duration, number

WAIT = duration("wait", "how long the client is kept waiting", "0s", key="after_s", ge=0, le=60)


def lasting(key: str) -> Any:
    """Options of requests that wait for what takes so long."""
    return lambda document: {"late_s": float(document.get(key, 0.0))}


def connections(asks: tuple[str, ...], reuse: str, standing: str) -> tuple[Row, ...]:
    """Connections that are refused, cut, left open or dead. `reuse` is the kind of request that uses one twice, `standing` any other."""
    return (
        Row(
            "connection_refused",
            "crash",
            "The port refuses connections, and those that were open are reset at their next request.",
            "the harness's own connection is refused, where others called shortly before",
            sees.cut_unanswered("refused"),
            (standing,),
            standing=True,
        ),
        Row(
            "connection_reset",
            "network",
            "Requests are read, not carried out, and the connection reset before the first byte of an answer.",
            "the harness's own request is answered by a reset alone",
            sees.cut_unanswered("reset"),
            asks,
            (WAIT,),
            how=lasting("after_s"),
        ),
        Row(
            "connection_closed",
            "network",
            "Requests are read, not carried out, and the connection closed before the first byte of an answer.",
            "the harness's own request is answered by a close alone",
            sees.cut_unanswered("fin"),
            asks,
            (WAIT,),
            how=lasting("after_s"),
        ),
        Row(
            "connection_hang",
            "hang",
            "Requests are read, not carried out and never answered; the connection stays open.",
            "the harness's own request gets no byte for several times what a healthy answer takes",
            sees.cut_unanswered("silent"),
            asks,
        ),
        Row(
            "slow_headers",
            "latency",
            "Status line and headers come byte by byte; the answer follows.",
            "the head of the harness's own answer takes that long",
            sees.slower_by(lambda document: float(document["over_s"]), sees.head_time),
            asks,
            (duration("over", "how long the head takes", "5s", ge=0.05, le=60),),
            how=lasting("over_s"),
            example={"over": "3s"},
        ),
        Row(
            "dead_keep_alive",
            "network",
            "A good answer, keep-alive promised; the next request on that connection is cut at its first byte.",
            "the second request on the harness's own connection is cut",
            sees.dead_when_used_again,
            (reuse,),
            (choice("how", "closed in order, or reset", ("fin", "reset")),),
        ),
    )


def bodies(asks: tuple[str, ...]) -> tuple[Row, ...]:
    """Answers in one piece whose bytes are not what their head announces."""
    return (
        Row(
            "empty_body",
            "errors",
            "200 with an empty body.",
            "the harness's own answer is a success without a byte",
            sees.in_body(sees.empty),
            asks,
        ),
        Row(
            "truncated_json",
            "errors",
            "200 with only the first part of the JSON, and a Content-Length to match.",
            "the JSON of the harness's own answer breaks off",
            sees.in_body(sees.ends_early),
            asks,
            (number("share", "how much of the body is sent", "ratio", 0.5, gt=0, lt=0.95),),
        ),
        Row(
            "invalid_json",
            "errors",
            "200 with JSON that ends in a comma too many, which no parser takes.",
            "the JSON of the harness's own answer has a comma too many",
            sees.in_body(sees.no_json),
            asks,
        ),
        Row(
            "short_body",
            "network",
            "Content-Length announces the whole body, half of it comes, then the connection is closed.",
            "the harness's own answer is closed before it is complete",
            sees.short_body,
            asks,
        ),
    )


def gateway(asks: tuple[str, ...], settings: tuple[Setting, ...], statuses: tuple[int, ...]) -> Row:
    """A proxy speaks in the service's place."""
    return Row(
        "gateway_error",
        "errors",
        "502, 503 or 504 of a gateway: an HTML page, plain text or nothing, where the service would speak JSON.",
        "the harness's own request gets that status",
        sees.refusal(),
        asks,
        (choice("status", "which", statuses), choice("body", "what the gateway says", ("html", "text", "empty")), WAIT, *settings),
        how=lasting("after_s"),
        example={"status": 504},
    )
