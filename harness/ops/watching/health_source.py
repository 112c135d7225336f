"""Services that have no metrics, asked for their health now and then: what cannot be scraped is not left unknown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from harness.ops.health import http
from harness.ops.health.answer import Answer
from harness.ops.health.asking import Question, put
from harness.ops.monitoring.readings import Reading
from harness.ops.stackfile.loading import StackFile
from harness.ops.stackfile.model import Health
from harness.record.clock import NS_PER_S, Clock

KEPT = 60
_AT_ONCE = 8


def questions(stack: StackFile) -> list[Question]:
    """One for each instance over HTTP without metrics. Of providers their models are listed: that costs nothing, a token would."""
    found = []
    for endpoint in stack.targets.endpoints():
        if endpoint.metrics is not None or not endpoint.url.startswith("http"):
            continue
        how, kind = stack.health_of(endpoint.service), stack.document.services[endpoint.service].kind
        ask: Callable[[], str]
        if kind in ("llm", "embedding"):
            ask = partial(_list_models, endpoint.url, how)
        elif kind == "vector" and how.path is None and how.url is None:
            ask = partial(http.ask_vector_store, endpoint.url, how)
        else:
            ask = partial(http.ask_service, endpoint.url, how)
        found.append(Question(endpoint.service, endpoint.instance, how.slow or how.timeout / 2, ask))
    return found


def _list_models(url: str, how: Health) -> str:
    return f"{len(http.models_of(url, how.model_copy(update={'models': []})))} models"


@dataclass(slots=True)
class HealthSource:
    """Asks in threads of its own, so that a service that hangs keeps nobody waiting; reads what is known by now."""

    questions: Callable[[], list[Question]]
    clock: Clock
    every_s: float = 5.0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="health"))
    _asked: list[Future[Answer]] = field(default_factory=list)
    _asked_s: float = float("-inf")
    _answers: dict[str, deque[Answer]] = field(default_factory=dict)

    def read(self) -> Iterator[Reading]:
        """See `Source`: `availability_by_looks` over the last 60 answers of a service, and `look_time`. What could not be asked counts
        for nothing.
        """
        now_s = self.clock.now_ns() / NS_PER_S
        for future in [one for one in self._asked if one.done()]:
            self._asked.remove(future)
            answer = future.result()
            if answer.status != "unknown":
                self._answers.setdefault(answer.service, deque(maxlen=KEPT)).append(answer)
        if not self._asked and now_s - self._asked_s >= self.every_s:
            self._asked_s = now_s
            self._asked = [self._pool.submit(put, question, self.clock) for question in self.questions()]
        for service, answers in self._answers.items():
            up = sum(answer.status != "unhealthy" for answer in answers)
            yield Reading(service, "availability_by_looks", up / len(answers), len(answers))
            if answers[-1].response_s is not None and answers[-1].status != "unhealthy":
                yield Reading(service, "look_time", answers[-1].response_s)

    def close(self) -> None:
        """Waits for what is under way: at most the longest timeout of a question."""
        self._pool.shutdown(wait=True, cancel_futures=True)
