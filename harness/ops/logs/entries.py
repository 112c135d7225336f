"""One line of a log as an entry: when, how bad, and of which stream. JSON lines first; plain lines of common servers as far as they go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from harness.telemetry.logs import LogLine

Stream = Literal["error", "access", "performance", "other"]
STREAMS: tuple[Stream, ...] = ("error", "access", "performance", "other")

_TIMES = ("ts", "timestamp", "time", "@timestamp", "asctime", "at")
_LEVELS = ("level", "levelname", "severity", "log.level", "lvl")
_MESSAGES = ("event", "message", "msg")
_DURATIONS = (("duration_ms", 0.001), ("response_time_ms", 0.001), ("latency_ms", 0.001), ("elapsed_ms", 0.001), ("duration_s", 1.0))
_ERROR_TYPES = ("error_type", "exception", "exc_type", "error")
_NAMES: Mapping[str, str] = {
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "panic": "critical",
    "log": "info",
    "notice": "info",
    "trace": "debug",
}
_PLAIN_LEVEL = re.compile(r"\b(DEBUG|INFO|NOTICE|LOG|WARN(?:ING)?|ERR(?:OR)?|FATAL|PANIC|CRITICAL)\b:?")
_PLAIN_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?)(?:\s?(Z|UTC|GMT|[+-]\d\d:?\d\d))?|(\d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d)"
)
_TYPE = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Timeout|Refused|Reset|Warning|Interrupt))\b")
BAD = ("error", "critical")


@dataclass(frozen=True, slots=True)
class Entry:
    """`at_s` in seconds of the epoch, `duration_s` of what was done; None where the line does not tell."""

    at_s: float | None
    level: str
    stream: Stream
    message: str
    service: str = ""
    route: str = ""
    status: int | None = None
    duration_s: float | None = None
    error_type: str = ""
    provider: str = ""
    model: str = ""

    @property
    def failed(self) -> bool:
        """A request that was answered with 5xx, or a line that is an error by its level."""
        return self.status is not None and self.status >= 500 if self.stream == "access" else self.level in BAD


def entry_of(line: LogLine) -> Entry:
    """Never raises: a field of the wrong type says nothing."""
    return _structured(line.fields) if line.structured else _plain(str(line.fields.get("message", "")))


def _structured(fields: Mapping[str, Any]) -> Entry:
    status = _whole(fields.get("status", fields.get("status_code")))
    duration_s = next((value * unit for name, unit in _DURATIONS if (value := _number(fields.get(name))) is not None), None)
    level = _level(next((fields[name] for name in _LEVELS if name in fields), ""))
    access = fields.get("channel") == "access" or ("method" in fields and status is not None)
    return Entry(
        at_s=next((at_s for name in _TIMES if (at_s := _seconds(fields.get(name))) is not None), None),
        level=level,
        stream="access" if access else "error" if level in ("warning", *BAD) else "performance" if duration_s is not None else "other",
        message=str(next((fields[name] for name in _MESSAGES if name in fields), "")),
        service=str(fields.get("service", fields.get("logger", ""))),
        route=str(fields.get("route", fields.get("path", ""))),
        status=status,
        duration_s=duration_s,
        error_type=_error_type(fields, level, status if access else None),
        provider=str(fields.get("provider", "")),
        model=str(fields.get("model", "")),
    )


def _error_type(fields: Mapping[str, Any], level: str, status: int | None) -> str:
    """`TimeoutError` of `TimeoutError: Timeout reading …`; the status of a failed request; else the event."""
    for name in _ERROR_TYPES:
        value = fields.get(name)
        if isinstance(value, str) and value:
            match = _TYPE.match(value)
            return match[1] if match else value.partition(":")[0][:60]
        if isinstance(value, Mapping) and isinstance(value.get("type"), str):
            return str(value["type"])
    if status is not None and status >= 500:
        return f"http_{status}"
    return str(next((fields[name] for name in _MESSAGES if name in fields), level))[:60] if level in ("warning", *BAD) else ""


def _plain(text: str) -> Entry:
    """PostgreSQL, Redis, Python: what stands for time and level in such lines."""
    found = _PLAIN_LEVEL.search(text)
    level = _level(found[1]) if found else "info"
    rest = text[found.end() :].strip() if found else text
    match = _TYPE.match(rest)
    return Entry(
        at_s=_plain_seconds(text),
        level=level,
        stream="error" if level in ("warning", *BAD) else "other",
        message=rest,
        error_type=(match[1] if match else rest[:60]) if level in ("warning", *BAD) else "",
    )


def _level(value: object) -> str:
    name = str(value).strip().lower()
    return _NAMES.get(name, name) or "info"


def _seconds(value: object) -> float | None:
    """Of ISO 8601 (without a zone: UTC), or of seconds or milliseconds of the epoch."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) / (1000.0 if value > 1e11 else 1.0)
    try:
        moment = datetime.fromisoformat(str(value).replace(",", "."))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _plain_seconds(text: str) -> float | None:
    match = _PLAIN_TIME.search(text)
    if match is None:
        return None
    if match[1]:
        zone = {None: "+00:00", "Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"}.get(match[2], match[2])
        return _seconds(match[1].replace(",", ".") + zone)
    try:
        return datetime.strptime(match[3], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None else int(value) if isinstance(value, str) and value.isdigit() else None
