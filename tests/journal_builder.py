"""Provider journals written by hand, for the tests of everything that reads them.

    journal("0s 429 told=1", "1.01s 200")

Each line is one exchange: when it arrived, `stream` if it was streamed, the status (0: nothing was answered), and options: `for=` seconds
it took (0.01), `told=` retry_after_s, `fault=` its type, `ending=` (complete), `left=` seconds after which the caller hung up, `last=`,
`finish=`, `retry=` x-stainless-retry-count, `should=` x-should-retry, `code=` of the error, `trace=`, `body=` (b), `agent=` (client/1),
`account=`, `service=` (llm), `method=`, `route=`, `path=`.
"""

from __future__ import annotations

from typing import Any

from harness.record.provider import Exchange, parse_rows

START_S = 5_000.0  # not zero, so that nothing works by accident


def journal(*lines: str) -> tuple[Exchange, ...]:
    """The rows as the harness reads them."""
    found: list[Exchange] = []
    for seq, line in enumerate(lines, start=1):
        service, document = row(seq, line)
        parsed = parse_rows(service, [document])
        assert parsed.missing == (), line
        found.extend(parsed.rows)
    return tuple(found)


def row(seq: int, line: str) -> tuple[str, dict[str, Any]]:
    """The service, and the row as its journal tells it."""
    time, *words = line.split()
    stream = words[0] == "stream"
    status = int(words[1] if stream else words[0])
    options = dict(word.split("=", 1) for word in words[(2 if stream else 1) :])
    left = options.pop("left", None)
    fault = options.pop("fault", None)
    finish = options.pop("finish", "stop" if status == 200 and fault is None else None)
    number = {name: float(options.pop(option)) for name, option in (("retry_after_s", "told"),) if option in options}
    if "last" in options:
        number["last_sent_ms"] = 1000.0 * float(options.pop("last"))
    names = {
        "retry": "client_attempt",
        "should": "should_retry",
        "code": "error",
        "trace": "trace_id",
        "body": "body_sha",
        "agent": "user_agent",
    }
    service = options.pop("service", "llm")
    document = {
        "seq": seq,
        "arrived_s": START_S + float(time.removesuffix("s")),
        "duration_ms": 1000.0 * float(left or options.pop("for", "0.01")),
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": status,
        "user_agent": "client/1",
        "body_sha": "b",
        "stream": stream,
        "faults": [{"id": "f", "type": fault}] if fault else [],
        "finish_reason": finish,
        "ending": "complete" if left is None else "hang" if fault in ("connection_hang", "stream_stall") else "disconnected",
        "disconnected_after_ms": None if left is None else 1000.0 * float(left),
        **number,
        **{names.get(name, name): value for name, value in options.items()},
    }
    return service, document
