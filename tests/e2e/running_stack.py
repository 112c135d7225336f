"""A started reference stack with what tests ask of it, whatever runs its instances."""

from __future__ import annotations

import json
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from harness.stack.base import Instance
from harness.stack.options import StackOptions
from harness.stack.reference import ReferenceStack

DOCUMENTS = 60


@dataclass(frozen=True)
class Running:
    """A started stack with what a test asks of it."""

    stack: ReferenceStack
    options: StackOptions
    client: httpx.Client
    questions: list[dict[str, Any]]

    def ask(self, number: int = 0) -> httpx.Response:
        """One of the questions with an answer."""
        answerable = [question for question in self.questions if question["answerable"]]
        return self.client.post("/api/ask", json={"question": answerable[number % len(answerable)]["question"]})

    def search(self) -> httpx.Response:
        """A query nobody asked before: it goes to the database."""
        return self.client.post("/api/search", json={"query": f"queue {uuid.uuid4().hex}"})

    def one(self, service: str, number: int = 1) -> Instance:
        return self.stack.instances(service)[number - 1]


@dataclass
class Traffic:
    """Requests that keep coming while something is changed, and what became of them."""

    running: Running
    statuses: list[int | str] = field(default_factory=list)

    def during(self, change: Callable[[], object]) -> list[int | str]:
        """Statuses other than 200."""
        over = threading.Event()

        def keep_asking(first: int) -> None:
            number = first
            while not over.is_set():
                try:
                    self.statuses.append(self.running.ask(number).status_code)
                except httpx.HTTPError as error:
                    self.statuses.append(repr(error))
                number += 2

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(keep_asking, first) for first in (0, 1)]
            try:
                until(lambda: len(self.statuses) >= 2)
                change()
                seen = len(self.statuses)
                until(lambda: len(self.statuses) >= seen + 4)
            finally:
                over.set()
            for future in asking:
                future.result()
        return [status for status in self.statuses if status != 200]


def until(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.05)


def options(logs: Path, **changes: Any) -> StackOptions:
    """Of a stack with a run id and a work directory of its own."""
    run_id = uuid.uuid4().hex[:12]
    logs.mkdir(exist_ok=True)
    work_dir = Path(tempfile.gettempdir()) / f"gauntlet-{run_id}"
    return StackOptions(run_id, work_dir, logs, documents=DOCUMENTS, **changes)


@contextmanager
def started(stack: ReferenceStack, chosen: StackOptions) -> Iterator[Running]:
    """The stack, up and with a client; stopped in the end."""
    stack.start()
    try:
        questions = [json.loads(line) for line in stack.questions_path.read_text().splitlines()]
        headers = {"authorization": f"Bearer {stack.api_key}"}
        with httpx.Client(base_url=stack.entry_url, headers=headers, timeout=20.0, trust_env=False) as client:
            yield Running(stack, chosen, client, questions)
    finally:
        stack.stop()
