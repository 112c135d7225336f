"""Every part of a deployment, asked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.ops.health import http
from harness.ops.health.answer import Answer, DegradedError, Health, UnaskedError, UnwellError
from harness.ops.stackfile.loading import StackFile
from harness.ops.stackfile.model import Health as How
from harness.ops.targets import Endpoint
from harness.record.clock import NS_PER_S, Clock

_AT_ONCE = 16
_ODD = (KeyError, TypeError, IndexError, ValueError, AttributeError)
"""What an answer leads to that is not what such a part answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """`ask` returns the detail of a healthy answer."""

    service: str
    part: str
    slow_s: float
    ask: Callable[[], str]


def ask_all(stack: StackFile, clock: Clock, only: frozenset[str] | None = None) -> tuple[Answer, ...]:
    """All answers, in the order of the file. `only`: of these services. Takes about the longest timeout of any question."""
    wanted = [service for service in stack.document.services if only is None or service in only]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="health") as pool:
        asked = [pool.submit(_ask_service, stack, service, clock) for service in wanted]
        return tuple(answer for one in asked for answer in one.result())


def _ask_service(stack: StackFile, service: str, clock: Clock) -> list[Answer]:
    endpoints = [e for e in stack.targets.endpoints() if e.service == service]
    if not endpoints:
        return [Answer(service, service, "unknown", None, "service discovery lists no instance")]
    try:
        questions = list(_questions(stack.document.services[service].kind, endpoints, stack.health_of(service)))
    except (UnwellError, DegradedError, UnaskedError, *_ODD) as error:  # its models could not be listed
        return [_refused(Question(service, endpoints[0].instance, 0.0, str), error, None)]
    if len(questions) == 1:
        return [put(questions[0], clock)]
    with ThreadPoolExecutor(len(questions), thread_name_prefix="health") as pool:
        return list(pool.map(partial(put, clock=clock), questions))


def _questions(kind: str, endpoints: Sequence[Endpoint], how: How) -> Iterator[Question]:
    slow_s = how.slow if how.slow is not None else how.timeout / 2
    for endpoint in endpoints[:1] if how.url else endpoints:
        url = endpoint.url
        name = endpoint.instance
        if kind in ("llm", "embedding"):
            choose, ask = (http.chat_models, http.ask_generation) if kind == "llm" else (http.embedding_models, http.ask_embedding)
            listed = how.models or choose(http.models_of(url, how))
            for model in listed:
                yield Question(endpoint.service, f"{name}/{model}", slow_s, partial(ask, url, model, how))
        elif kind == "postgres":
            yield Question(endpoint.service, name, slow_s, partial(_select_1, url, how.timeout))
        elif kind == "redis":
            yield Question(endpoint.service, name, slow_s, partial(_ping, url, how.timeout))
        elif kind == "vector" and how.path is None and how.url is None:
            yield Question(endpoint.service, name, slow_s, partial(http.ask_vector_store, url, how))
        else:
            yield Question(endpoint.service, name, slow_s, partial(http.ask_service, url, how))


def put(question: Question, clock: Clock) -> Answer:
    """Ask, and time it."""
    begun_ns = clock.now_ns()
    try:
        detail = question.ask()
    except (UnwellError, DegradedError, UnaskedError) as error:
        return _refused(question, error, (clock.now_ns() - begun_ns) / NS_PER_S)
    except _ODD as error:
        return _refused(question, error, (clock.now_ns() - begun_ns) / NS_PER_S)
    took_s = (clock.now_ns() - begun_ns) / NS_PER_S
    if took_s > question.slow_s:
        detail += f", after {took_s:.2f} s; {question.slow_s:g} s are slow"
        return Answer(question.service, question.part, "degraded", took_s, detail)
    return Answer(question.service, question.part, "healthy", took_s, detail)


_STATUS: dict[type[Exception], Health] = {DegradedError: "degraded", UnaskedError: "unknown"}


def _refused(question: Question, error: Exception, took_s: float | None) -> Answer:
    why = f"the answer is not understood: {type(error).__name__}: {error}" if isinstance(error, _ODD) else str(error)
    return Answer(question.service, question.part, _STATUS.get(type(error), "unhealthy"), took_s, why)


def _select_1(url: str, timeout_s: float) -> str:
    try:
        with psycopg.connect(
            url, connect_timeout=max(2, round(timeout_s)), autocommit=True, options=f"-c statement_timeout={round(timeout_s * 1000)}"
        ) as connection:
            connection.execute("SELECT 1")
            row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    except psycopg.OperationalError as error:
        raise UnwellError(_first_line(error)) from error
    except psycopg.Error as error:
        raise UnwellError(f"{type(error).__name__}: {_first_line(error)}") from error
    return f"SELECT 1{f', pgvector {row[0]}' if row else ''}"


def _ping(url: str, timeout_s: float) -> str:
    asked = redis.Redis.from_url(
        url.replace("valkey://", "redis://", 1),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),  # the library's own three tries would be told as a slow answer
    )
    try:
        asked.ping()
    except redis.RedisError as error:
        raise UnwellError(_first_line(error)) from error
    finally:
        asked.close()
    return "PING"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
