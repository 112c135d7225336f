"""What one arrival does: ask, ask_stream, follow_up, search, ingest, login, or a plain HTTP request of the scenario. One attempt each.

A journey is a generator of exchanges: an engine performs each that it yields and resumes it when the answer is whole. So journeys neither
wait nor know who drives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any

from harness.load.answers import Knowledge, Question, finish_of, flag_of, read_answer, source_numbers
from harness.load.arrivals import Arrival
from harness.load.http import BrokenBodyError, Exchange, Request, RequestTimeoutError, Transport, UnreachableError
from harness.load.ingest import IngestLog, document_for
from harness.load.observation import Observation
from harness.load.plan import HttpJourney, LoadPlan
from harness.load.sse import EventStream
from harness.record.clock import Clock
from harness.record.requests import Finish, Outcome

_TOP_K = 5
_TOO_BUSY = (429, 503)
_NO_QUESTION = Question(-1, "", None)
_FOLLOW_UP = "And what about it, once more?"  # means something only to who remembers the question before

Steps = Generator[Exchange, None, None]
Journey = Callable[[Observation, Question], Steps]


class Journeys:
    """Makes arrivals into exchanges; the outcome, the times and the raw quality fields end up in the observation."""

    def __init__(self, plan: LoadPlan, knowledge: Knowledge, clock: Clock, ingested: IngestLog, api_key: str | None) -> None:
        self._plan = plan
        self._knowledge = knowledge
        self._clock = clock
        self._ingested = ingested
        self._requests = Requests(plan.base_url, api_key)
        self._numbers = {name: number for number, name in enumerate(plan.journey_names)}
        self._journeys: dict[str, Journey] = {
            "ask": self._ask,
            "ask_stream": self._ask_stream,
            "follow_up": self._follow_up,
            "search": self._search,
            "ingest": self._ingest,
            "login": self._login,
        }
        self._journeys |= {journey.name: self._plain(journey) for journey in plan.journeys}

    def observe(self, arrival: Arrival, intended_ns: int) -> Observation:
        """The observation of an arrival about which nothing is known yet."""
        return Observation(arrival.seq, self._numbers[arrival.journey], intended_ns, self._question(arrival).id)

    def begin(self, arrival: Arrival, observation: Observation) -> Steps:
        """The exchanges of an arrival, which starts now."""
        observation.start_ns = self._clock.now_ns()
        return self._journeys[arrival.journey](observation, self._question(arrival))

    def end(self, observation: Observation, exchange: Exchange | None, error: Exception | None) -> None:
        """The arrival has ended, with `exchange` as its last one. Whatever the target does is an outcome; any other error is raised."""
        if exchange is not None and exchange.status:
            observation.status = exchange.status
        if isinstance(error, RequestTimeoutError):
            observation.outcome = Outcome.TIMEOUT
        elif isinstance(error, UnreachableError):
            observation.outcome = Outcome.ERROR
        elif isinstance(error, BrokenBodyError):
            observation.outcome = Outcome.TRUNCATED if observation.status == 200 else Outcome.ERROR
        elif error is not None:
            raise error
        observation.end_ns = self._clock.now_ns()

    def serve(self, arrival: Arrival, observation: Observation, transport: Transport) -> None:
        """Perform an arrival where waiting is allowed. A RequestTimeoutError may be raised into it at any time."""
        exchange, failed = None, None
        try:
            for exchange in self.begin(arrival, observation):
                transport.perform(exchange)
        except (RequestTimeoutError, UnreachableError, BrokenBodyError) as error:
            failed = error
        self.end(observation, exchange, failed)

    def _question(self, arrival: Arrival) -> Question:
        return self._knowledge.questions[arrival.question] if arrival.question >= 0 else _NO_QUESTION

    def _ask(self, observation: Observation, question: Question) -> Steps:
        document = yield from self._exchange(observation, self._requests.ask(question, stream=False))
        if document is not None:
            self._read(observation, document, question)

    def _ask_stream(self, observation: Observation, question: Question) -> Steps:
        answer = _Stream(observation, self._clock)
        exchange = Exchange(self._requests.ask(question, stream=True), answer.feed)
        yield exchange
        if not self._accepted(exchange, observation):
            return
        observation.sources = source_numbers(answer.sources, self._knowledge)
        if answer.failed:
            observation.outcome = Outcome.ERROR
        elif answer.last is not None and finish_of(answer.last.get("finish_reason")) is not Finish.NONE:
            read_answer(observation, answer.last, "".join(answer.text), question, self._knowledge, self._plan.preferred_model)
            observation.outcome = Outcome.OK

    def _follow_up(self, observation: Observation, question: Question) -> Steps:
        """A question, and a second one that only means something after it; the answer to the second one counts."""
        session = f"{self._plan.run_id}-{observation.seq}"
        for text in (question.text, _FOLLOW_UP):
            request = self._requests.post("/api/ask", {"question": text, "top_k": _TOP_K, "stream": False, "session_id": session})
            document = yield from self._exchange(observation, request)
            if document is None or not isinstance(document.get("answer"), str):
                return
        assert document is not None
        self._read(observation, document, question)

    def _read(self, observation: Observation, document: dict[str, Any], question: Question) -> None:
        text = document.get("answer")
        observation.sources = source_numbers(document.get("sources"), self._knowledge)
        if isinstance(text, str) and finish_of(document.get("finish_reason")) is not Finish.NONE:
            read_answer(observation, document, text, question, self._knowledge, self._plan.preferred_model)
            observation.outcome = Outcome.OK

    def _search(self, observation: Observation, question: Question) -> Steps:
        document = yield from self._exchange(observation, self._requests.search(question))
        if document is not None and isinstance(document.get("sources"), list):
            observation.sources = source_numbers(document["sources"], self._knowledge)
            observation.degraded = flag_of(document.get("degraded"))
            observation.outcome = Outcome.OK

    def _ingest(self, observation: Observation, _question: Question) -> Steps:
        own = document_for(observation.seq, observation.intended_ns)
        document = yield from self._exchange(observation, self._requests.post("/api/documents", own), accepts=(200, 201, 202))
        if document is not None and isinstance(document.get("doc_id"), str):
            self._ingested.accepted(document["doc_id"])
            observation.outcome = Outcome.OK

    def _login(self, observation: Observation, _question: Question) -> Steps:
        """The key for a token, and the token for something that needs one."""
        document = yield from self._exchange(observation, self._requests.post("/api/auth/token", {}))
        token = document.get("access_token") if document is not None else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return
        own = yield from self._exchange(observation, self._requests.get("/api/usage", {"authorization": f"Bearer {token}"}))
        if own is not None:
            observation.outcome = Outcome.OK

    def _plain(self, journey: HttpJourney) -> Journey:
        def perform(observation: Observation, _question: Question) -> Steps:
            exchange = Exchange(self._requests.plain(journey))
            yield exchange
            if self._accepted(exchange, observation, journey.expect_status):
                observation.size = len(exchange.content)
                observation.outcome = Outcome.OK

        return perform

    def _exchange(
        self, observation: Observation, request: Request, accepts: tuple[int, ...] = (200,)
    ) -> Generator[Exchange, None, dict[str, Any] | None]:
        """The JSON object of an accepted answer. Until more is known of it, its outcome is TRUNCATED."""
        exchange = Exchange(request)
        yield exchange
        content = exchange.content
        observation.size += len(content)
        return _json_object(content) if self._accepted(exchange, observation, accepts) else None

    def _accepted(self, exchange: Exchange, observation: Observation, accepts: tuple[int, ...] = (200,)) -> bool:
        """Note the status of an answer that is whole."""
        observation.status = exchange.status
        if exchange.status in accepts:
            observation.outcome = Outcome.TRUNCATED
            return True
        said_no = exchange.status in _TOO_BUSY and exchange.retry_after
        observation.outcome = Outcome.REJECTED if said_no else Outcome.ERROR
        return False


class Requests:
    """Requests ready for the wire. Those that are sent again and again are made once."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        self._base_url = base_url
        self._auth = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._made: dict[tuple[str, int], Request] = {}

    def ask(self, question: Question, stream: bool) -> Request:
        key = ("ask_stream" if stream else "ask", question.id)
        if key not in self._made:
            self._made[key] = self.post("/api/ask", {"question": question.text, "top_k": _TOP_K, "stream": stream})
        return self._made[key]

    def search(self, question: Question) -> Request:
        key = ("search", question.id)
        if key not in self._made:
            self._made[key] = self.post("/api/search", {"query": question.text, "top_k": _TOP_K})
        return self._made[key]

    def post(self, path: str, body: object) -> Request:
        """JSON to the entry."""
        headers = {**self._auth, "content-type": "application/json"}
        return Request.to("POST", self._base_url + path, headers, json.dumps(body).encode())

    def get(self, path: str, headers: Mapping[str, str]) -> Request:
        """From the entry; `headers` come before the credential."""
        return Request.to("GET", self._base_url + path, {**self._auth, **headers})

    def plain(self, journey: HttpJourney) -> Request:
        """A request of the scenario. The credential is the entry's own; it goes nowhere else."""
        key = (f"plain {journey.name}", -1)
        if key not in self._made:
            self._made[key] = self._plain(journey)
        return self._made[key]

    def _plain(self, journey: HttpJourney) -> Request:
        origin = Request.to("GET", self._base_url, {}).origin
        headers = dict(self._auth) if Request.to("GET", journey.url, {}).origin == origin else {}
        payload = None
        if journey.body is not None:
            headers["content-type"] = "application/json"
            payload = json.dumps(journey.body).encode()
        headers |= {name.lower(): value for name, value in journey.headers.items()}
        return Request.to(journey.method, journey.url, headers, payload)


class _Stream:
    """The events of one streamed answer."""

    def __init__(self, observation: Observation, clock: Clock) -> None:
        self._observation = observation
        self._clock = clock
        self._events = EventStream()
        self.text: list[str] = []
        self.sources: object = None
        self.last: dict[str, Any] | None = None  # the event that says `done`
        self.failed = False  # the service reported an error inside the stream

    def feed(self, piece: bytes) -> None:
        """Bytes of the body, as they come."""
        for payload in self._events.feed(piece):
            self._take(payload)

    def _take(self, payload: str) -> None:
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
