"""A request for generated text: from its parsed body to the last byte of its answer."""

from collections.abc import Mapping
from functools import partial
from time import time
from typing import Any

import orjson

from mocks.http.message import Reply, Request
from mocks.llm.answer import CHAT, MESSAGES, RESPONSES, Answer, ChatCall
from mocks.llm.answers.base import MOST_TOKENS, prompt_tokens
from mocks.llm.dialects.base import Dialect
from mocks.llm.engine import Engine
from mocks.llm.entry import Ending
from mocks.llm.plan import Facts, Plan, Stream, Whole
from mocks.llm.player import Channel, Player
from mocks.llm.queueing import Place
from mocks.llm.serving import Serving
from mocks.llm.trickle import TrickledReply
from mocks.llm.vllm import Generations, Phases


class Generation(Serving):
    """One call on its way: plan, place in line, text, stream or whole."""

    __slots__ = ("_answer", "_call", "_dialect", "_in_line", "_place", "finish_reason", "series")

    series: Generations

    def __init__(self, engine: Engine, request: Request, reply: Reply, dialect: Dialect, fallback_id: str) -> None:
        super().__init__(engine, request, reply, dialect.route, dialect.name, fallback_id)
        self._dialect = dialect
        self._call: ChatCall
        self._answer: Answer | None = None
        self._place: Place | None = None
        self._in_line = False
        self.finish_reason = ""

    def begin(self, body: Mapping[str, Any]) -> None:
        """Check the request and get in line, or be refused. Raises ProviderError."""
        self._call = call = self._dialect.parse(body)
        key = self.recognise(body, call.model)
        prompt = prompt_tokens(call)
        entry, engine = self.entry, self.engine
        facts = Facts(
            route=entry.route,
            dialect=entry.dialect,
            model=call.model,
            key=key,
            attempt=entry.attempt,
            stream=call.stream,
            prompt_tokens=prompt,
            wanted_tokens=prompt + (call.max_tokens or MOST_TOKENS) * call.n,
            in_flight=engine.in_flight(),
            account=entry.account,
            organization=entry.organization,
            tenant=call.tenant,
            call=call,
        )
        plan = self.decide(facts, engine.profile.latency.draw(key, prompt))
        if plan is not None:
            self.series = engine.ledger.metrics.model(call.model)
            self.series.waiting += 1
            self._place = Place(engine.slots, partial(self.guarded, partial(self._start, plan)))
            self._place.enter()
            self._in_line = True

    def finish(self, ending: Ending) -> None:
        """It is over: the next in line moves up."""
        entry, place = self.entry, self._place
        if not entry.open or place is None:
            super().finish(ending)
            return
        if place.running:
            self.series.running -= 1
            self._count(ending)
        else:
            self.series.waiting -= 1
        super().finish(ending)
        place.leave()

    def _start(self, plan: Plan) -> None:
        """A place is free: generate. Who has waited for it counts time from now."""
        series, entry = self.series, self.entry
        if self._in_line:
            self.start_s = self.reply.now()
            entry.queued_s = self.start_s - entry.arrived_s
        series.waiting -= 1
        series.running += 1
        series.prompt_tokens += entry.prompt_tokens
        self._answer = answer = self._compose(plan.facts)
        for edit in plan.answer_edits:
            answer = edit(answer)
        self._answer = answer
        self.finish_reason = answer.choices[0].finish
        if self._call.stream:
            self._play(plan, answer)
        else:
            self._send_later(plan, answer)

    def _compose(self, facts: Facts) -> Answer:
        answer_id = f"{self._dialect.id_prefix}{facts.key}{facts.attempt:x}"
        return self.engine.compose(self._call, facts.key, answer_id, int(time()), facts.prompt_tokens)

    def _play(self, plan: Plan, answer: Answer) -> None:
        stream = Stream(self._dialect.frames(answer, self._call, self.engine.profile.tokens_per_chunk))
        for edit in plan.stream_edits:
            stream = edit(stream)
        self.settle_faults(plan)
        channel: Channel = TrickledReply(self.reply, plan.headers_take_s) if plan.headers_take_s > 0 else self.reply
        Player(channel, self, plan, stream).play()

    def _send_later(self, plan: Plan, answer: Answer) -> None:
        """The whole answer leaves when its last token is due."""
        whole = Whole(self._dialect.whole(answer, self._call))
        for edit in plan.whole_edits:
            whole = edit(whole)
        self.settle_faults(plan)
        self.when(plan.due_s(answer.longest), partial(self._send_whole, plan, answer, whole))

    def _send_whole(self, plan: Plan, answer: Answer, whole: Whole) -> None:
        entry, series, count = self.entry, self.series, answer.longest
        first_s = plan.due_s(1)
        entry.first_token_s = self.start_s + first_s
        series.ttft.observe(entry.first_token_s - entry.arrived_s)
        if count > 1:
            series.itl.observe((plan.due_s(count) - first_s) / (count - 1), count - 1)
        series.generation_tokens += count
        entry.content_sent_tokens = count
        if not plan.whole_edits or _tells_finish(entry.route, whole.body):
            entry.finish_reason = self.finish_reason
        self.send(whole)

    def _count(self, ending: Ending) -> None:
        """Tokens and times of a generation that has begun."""
        entry, series, answer = self.entry, self.series, self._answer
        tokens = entry.content_sent_tokens
        if answer is not None and tokens >= answer.longest:  # of several choices, the longest alone has been counted so far
            series.generation_tokens += answer.usage.completion_tokens - tokens
            tokens = answer.usage.completion_tokens
        entry.completion_tokens = tokens
        if self.account is not None:
            self.account.used(entry.prompt_tokens + tokens)
        now_s = self.reply.now()
        first_s = now_s if entry.first_token_s is None else entry.first_token_s
        finish = entry.finish_reason if ending == "complete" else None
        series.ended(finish, entry.prompt_tokens, tokens, Phases(entry.queued_s, first_s - self.start_s, now_s - first_s))


_FINISH_MEMBERS = {CHAT: "choices", MESSAGES: "stop_reason", RESPONSES: "status"}


def _tells_finish(route: str, body: bytes) -> bool:
    """Whether a body that faults have edited still says how the answer ended."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and _FINISH_MEMBERS[route] in document
