"""What one arrival does: ask, ask_stream, search, ingest, or a plain HTTP request of the scenario. One attempt each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from harness.load.answers import Knowledge, Question, finish_of, flag_of, read_answer, source_numbers
from harness.load.arrivals import Arrival
from harness.load.http import BrokenBodyError, Reply, RequestTimeoutError, Transport, UnreachableError
from harness.load.ingest import IngestLog, document_for
from harness.load.observation import Observation
from harness.load.plan import HttpJourney, LoadPlan
from harness.load.sse import payloads
from harness.record.clock import Clock
from harness.record.requests import Finish, Outcome

_TOP_K = 5
_TOO_BUSY = (429, 503)
_NO_QUESTION = Question(-1, "", None)

Journey = Callable[[Observation, Question], None]


class Journeys:
    """Performs arrivals; the outcome, the times and the raw quality fields end up in the observation."""

    def __init__(
        self, plan: LoadPlan, knowledge: Knowledge, transport: Transport, clock: Clock, ingested: IngestLog, api_key: str | None
    ) -> None:
        self._plan = plan
        self._knowledge = knowledge
        self._transport = transport
        self._clock = clock
        self._ingested = ingested
        self._auth = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._numbers = {name: number for number, name in enumerate(plan.journey_names)}
        self._journeys: dict[str, Journey] = {
            "ask": self._ask,
            "ask_stream": self._ask_stream,
            "search": self._search,
            "ingest": self._ingest,
        }
        self._journeys |= {journey.name: self._plain(journey) for journey in plan.journeys}

    def observe(self, arrival: Arrival, intended_ns: int) -> Observation:
        """The observation of an arrival about which nothing is known yet."""
        return Observation(arrival.seq, self._numbers[arrival.journey], intended_ns, self._question(arrival).id)

    def serve(self, arrival: Arrival, observation: Observation) -> None:
        """Perform the arrival. Returns normally whatever the target does; a RequestTimeoutError raised into it is an outcome."""
        observation.start_ns = self._clock.now_ns()
        try:
            self._journeys[arrival.journey](observation, self._question(arrival))
        except RequestTimeoutError:
            observation.outcome = Outcome.TIMEOUT
        except UnreachableError:
            observation.outcome = Outcome.ERROR
        except BrokenBodyError:
            observation.outcome = Outcome.TRUNCATED if observation.status == 200 else Outcome.ERROR
        finally:
            observation.end_ns = self._clock.now_ns()

    def _question(self, arrival: Arrival) -> Question:
        return self._knowledge.questions[arrival.question] if arrival.question >= 0 else _NO_QUESTION

    def _ask(self, observation: Observation, question: Question) -> None:
        body = {"question": question.text, "top_k": _TOP_K, "stream": False}
        document = self._exchange(observation, "POST", "/api/ask", body)
        if document is None:
            return
        text = document.get("answer")
        observation.sources = source_numbers(document.get("sources"), self._knowledge)
        if isinstance(text, str) and finish_of(document.get("finish_reason")) is not Finish.NONE:
            read_answer(observation, document, text, question, self._knowledge, self._plan.preferred_model)
            observation.outcome = Outcome.OK

    def _ask_stream(self, observation: Observation, question: Question) -> None:
        body = {"question": question.text, "top_k": _TOP_K, "stream": True}
        with self._send("POST", "/api/ask", body) as reply:
            if not self._accepted(reply, observation):
                return
            answer = _Stream(observation, self._clock)
            for payload in payloads(reply.lines()):
                answer.take(payload)
        observation.sources = source_numbers(answer.sources, self._knowledge)
        if answer.failed:
            observation.outcome = Outcome.ERROR
        elif answer.last is not None and finish_of(answer.last.get("finish_reason")) is not Finish.NONE:
            read_answer(observation, answer.last, "".join(answer.text), question, self._knowledge, self._plan.preferred_model)
            observation.outcome = Outcome.OK

    def _search(self, observation: Observation, question: Question) -> None:
        document = self._exchange(observation, "POST", "/api/search", {"query": question.text, "top_k": _TOP_K})
        if document is not None and isinstance(document.get("sources"), list):
            observation.sources = source_numbers(document["sources"], self._knowledge)
            observation.degraded = flag_of(document.get("degraded"))
            observation.outcome = Outcome.OK

    def _ingest(self, observation: Observation, _question: Question) -> None:
        own = document_for(observation.seq, observation.intended_ns)
        document = self._exchange(observation, "POST", "/api/documents", own, accepts=(200, 201, 202))
        if document is not None and isinstance(document.get("doc_id"), str):
            self._ingested.accepted(document["doc_id"])
            observation.outcome = Outcome.OK

    def _plain(self, journey: HttpJourney) -> Journey:
        def perform(observation: Observation, _question: Question) -> None:
            with self._send(journey.method, journey.url, journey.body, journey.headers) as reply:
                if self._accepted(reply, observation, journey.expect_status):
                    observation.size = len(reply.read())
                    observation.outcome = Outcome.OK

        return perform

    def _exchange(
        self, observation: Observation, method: str, path: str, body: Any, accepts: tuple[int, ...] = (200,)
    ) -> dict[str, Any] | None:
        """The JSON object of an accepted answer. Until more is known of it, its outcome is TRUNCATED."""
        with self._send(method, path, body) as reply:
            if not self._accepted(reply, observation, accepts):
                return None
            content = reply.read()
        observation.size = len(content)
        return _json_object(content)

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> AbstractContextManager[Reply]:
        url = path if "://" in path else self._plan.base_url + path
        # The credential is the entry's own; it goes nowhere else.
        merged = dict(self._auth) if _origin(url) == _origin(self._plan.base_url) else {}
        payload = None
        if body is not None:
            merged["content-type"] = "application/json"
            payload = json.dumps(body).encode()
        merged |= {name.lower(): value for name, value in (headers or {}).items()}
        return self._transport.send(method, url, merged, payload)

    def _accepted(self, reply: Reply, observation: Observation, accepts: tuple[int, ...] = (200,)) -> bool:
        """Note the status. What is not accepted is read to its end, so that the connection can serve again."""
        observation.status = reply.status
        if reply.status in accepts:
            observation.outcome = Outcome.TRUNCATED
            return True
        said_no = reply.status in _TOO_BUSY and reply.header("retry-after") is not None
        observation.outcome = Outcome.REJECTED if said_no else Outcome.ERROR
        observation.size = len(reply.read())
        return False


class _Stream:
    """The events of one streamed answer."""

    def __init__(self, observation: Observation, clock: Clock) -> None:
        self._observation = observation
        self._clock = clock
        self.text: list[str] = []
        self.sources: object = None
        self.last: dict[str, Any] | None = None  # the event that says `done`
        self.failed = False  # the service reported an error inside the stream

    def take(self, payload: str) -> None:
        """One event's data: JSON, or `[DONE]`, which says nothing that the HTTP message's own end does not."""
        self._observation.size += len(payload)
        document = _json_object(payload)
        if document is None:
            return
        delta = document.get("delta")
        if isinstance(delta, str) and delta:
            self._observation.content_at(self._clock.now_ns())
            self.text.append(delta)
        if "sources" in document:
            self.sources = document["sources"]
        if "error" in document:
            self.failed = True
        if document.get("done") is True:
            self.last = document


def _json_object(content: bytes | str) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
