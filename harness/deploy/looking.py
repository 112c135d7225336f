"""The new version alone, before any user meets it: questions with known answers, and what each request leaves in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import psutil

from harness.deploy.router.passage import VERSION_HEADER
from harness.deploy.side_api import SeenInstance
from harness.faults.http_look import LookError, ask
from harness.record.clock import Clock
from harness.telemetry.prometheus_text import ParseError, parse

_ASK_S = 15.0
_SAID = 120  # characters of a wrong answer that are kept
_SAMPLE_EVERY_S = 0.5
_REQUESTS = "rag_requests_total"


def put_questions(url: str, api_key: str, questions: Path, count: int, seed: int, clock: Clock) -> list[dict[str, Any]]:
    """`[{question, right, status, version, said}]` of questions that the corpus answers. Right: the answer holds the fact asked for."""
    lines = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    known = [q for q in lines if q["answerable"] and q["canary"]]
    Random(f"{seed}:smoke").shuffle(known)
    return [_put(url, api_key, question, clock) for question in known[:count]]


def _put(url: str, api_key: str, question: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    body = {"question": question["question"], "top_k": 5, "stream": False}
    found: dict[str, Any] = {"question": question["question"], "right": False, "status": 0, "version": None}
    try:
        headers = {"authorization": f"Bearer {api_key}"}
        answer = ask(f"{url}/api/ask", clock, method="POST", headers=headers, body=body, timeout_s=_ASK_S)
        found |= {"status": answer.status, "version": answer.headers.get(VERSION_HEADER)}
        document = answer.json()
        text = document.get("answer") if isinstance(document, dict) else None
    except LookError as error:
        return found | {"said": str(error)[:_SAID]}
    if not isinstance(text, str):
        return found | {"said": f"status {answer.status}, no answer"}
    return found | {"right": question["canary"] in text, "said": text[:_SAID]}


class MemorySampler:
    """Writes down resident memory and requests served of each instance, both as of the same moment, until it is stopped."""

    def __init__(self, instances: Sequence[SeenInstance], file: Path, clock: Clock) -> None:
        self._instances = [i for i in instances if i.pid is not None]
        self._file = file
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._ended.set()
        self._thread.join(10.0)

    def _sample(self) -> None:
        with self._file.open("a", encoding="utf-8") as out:
            while not self._ended.wait(_SAMPLE_EVERY_S):
                for instance in self._instances:
                    if (seen := _look(instance, self._clock)) is not None:
                        out.write(json.dumps({"service": instance.name, "at_ns": self._clock.now_ns(), **seen}) + "\n")


def _look(instance: SeenInstance, clock: Clock) -> dict[str, Any] | None:
    """None where it cannot be seen: a sample less, which the judgement counts."""
    assert instance.pid is not None
    try:
        text = ask(f"{instance.url}/metrics", clock).body.decode(errors="replace")
        requests = sum(value for name, _, value in parse(text) if name == _REQUESTS)
        root = psutil.Process(instance.pid)
        rss = sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))
    except (LookError, ParseError, psutil.Error):
        return None
    return {"requests": requests, "rss_bytes": rss}
