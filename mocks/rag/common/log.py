"""JSON lines on stdout, with the ids of the request in hand.

The processors are few and the line is written as bytes in one call: at 25 requests/s over seven processes, logging must
cost microseconds.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.context import current_or_none
from mocks.rag.common.observing import Observing

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Logger = structlog.typing.FilteringBoundLogger


def configure(config: ServiceConfig) -> None:
    """Send structlog, and the standard library's warnings and errors, to stdout as JSON lines."""

    def identify(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["level"] = method
        event["service"] = config.service
        event["instance"] = config.instance
        context = current_or_none()
        if context is not None:
            event["request_id"] = context.request_id
            event["trace_id"] = context.trace_id
        return event

    observing = Observing.from_env()

    def keep(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if observing.logs_lost():
            raise structlog.DropEvent
        return event

    structlog.configure(
        processors=[
            keep,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            identify,
            structlog.processors.format_exc_info,
            _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(config.log_level, logging.INFO)),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(logging.WARNING)


def get_logger(name: str) -> Logger:
    """A logger whose lines carry `channel: name`."""
    logger: Logger = structlog.get_logger(channel=name)
    return logger


def _to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return json.dumps(event, default=str, separators=(",", ":")).encode()


class _ToStructlog(logging.Handler):
    """Records of libraries (uvicorn, psycopg, redis) as lines of the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"channel": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)
