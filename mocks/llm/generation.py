"""A request for generated text: from its parsed body to the last byte of its answer."""

from functools import partial
from time import time

import orjson

from mocks.common.ledger import Ending
from mocks.common.trickle import TrickledReply
from mocks.http.message import Reply, Request
from mocks.llm.answer import CHAT, MESSAGES, RESPONSES, Answer
from mocks.llm.answers.base import MOST_TOKENS, length
from mocks.llm.dialects.base import Dialect
from mocks.llm.engine import Engine
from mocks.llm.memory import Known
from mocks.llm.plan import Facts, Plan, Stream, Whole
from mocks.llm.player import Channel, Player
from mocks.llm.serving import Serving
from mocks.llm.vllm import Generations


class Generation(Serving):
    """One call on its way: plan, place in line, text, stream or whole."""

    __slots__ = ("_answer", "_claimed", "_dialect", "_known", "finish_reason", "running", "series")

    series: Generations
    _known: Known

    def __init__(self, engine: Engine, request: Request, reply: Reply, dialect: Dialect, fallback_id: str) -> None:
        super().__init__(engine, request, reply, dialect.route, dialect.name, fallback_id)
        self._dialect = dialect
        self._answer: Answer | None = None
        self._claimed = False
        self.running = False
        self.finish_reason = ""

    def understand(self, deployment: str | None) -> None:
        """Get to know what is asked. Raises ProviderError."""
        self._known = self.engine.understood(self._dialect, deployment, self.request.body)

    def begin(self) -> None:
        """Get in line, or be refused. Raises ProviderError."""
        facts, engine = _facts(self._known), self.engine
        self.note(facts.model, facts.key)
        if self.decide(facts, engine.profile.latency.draw(facts.key, facts.prompt_tokens)) is not None:
            self.series = engine.ledger.metrics.model(facts.model)
            self._claimed = True
            if engine.slots.enter(self):
                self._generate()
            else:
                self.series.waiting += 1

    def start(self) -> None:
        """A place has become free: time counts from now. For the line alone."""
        self.series.waiting -= 1
        self.start_s = self.reply.now()
        self.entry.queued_s = self.start_s - self.entry.arrived_s
        self.guarded(self._generate)

    def finish(self, ending: Ending) -> None:
        """It is over: the next in line moves up."""
        if not self.entry.open or not self._claimed:
            super().finish(ending)
            return
        if self.running:
            self.series.running -= 1
            self._count(ending)
        else:
            self.series.waiting -= 1
        self.engine.ledger.finish(self.entry, ending)
        self.engine.slots.leave(self)

    def _generate(self) -> None:
        """There is a place: make the answer, and see to it that it leaves in time."""
        series, entry, plan, known = self.series, self.entry, self.plan, self._known
        assert plan is not None, "nobody gets in line without a plan"
        series.running += 1
        series.prompt_tokens += entry.prompt_tokens
        answer = self.engine.compose(known, self._dialect)
        token, created = f"{entry.key}{entry.attempt:x}", int(time())
        if known.template is not None and not plan.answer_edits and not plan.whole_edits:
            self._note_answer(answer)
            self._send_later(plan, answer.longest, Whole(known.template.fill(token, created)))
            return
        answer = Answer(self._dialect.id_prefix + token, answer.model, created, answer.choices, answer.usage, answer.longest)
        for edit in plan.answer_edits:
            answer = edit(answer)
        self._note_answer(answer)
        if known.call.stream:
            self._play(plan, answer)
        else:
            self._send_later(plan, answer.longest, self._whole(plan, answer))

    def _note_answer(self, answer: Answer) -> None:
        self._answer = answer
        self.finish_reason = answer.choices[0].finish

    def _play(self, plan: Plan, answer: Answer) -> None:
        stream = Stream(self._dialect.frames(answer, self._known.call, self.engine.profile.tokens_per_chunk))
        for edit in plan.stream_edits:
            stream = edit(stream)
        self.settle_faults(plan)
        channel: Channel = TrickledReply(self.reply, plan.headers_take_s) if plan.headers_take_s > 0 else self.reply
        Player(channel, self, plan, stream).play()

    def _whole(self, plan: Plan, answer: Answer) -> Whole:
        whole = Whole(self._dialect.whole(answer, self._known.call))
        for edit in plan.whole_edits:
            whole = edit(whole)
        self.settle_faults(plan)
        return whole

    def _send_later(self, plan: Plan, count: int, whole: Whole) -> None:
        """The whole answer leaves when its last token is due."""
        due_s = plan.due_s(count)
        if self.start_s + due_s <= self.reply.now():
            self._send_whole(plan, count, whole)
        else:
            self.when(due_s, partial(self._send_whole, plan, count, whole))

    def _send_whole(self, plan: Plan, count: int, whole: Whole) -> None:
        entry = self.entry
        self.series.generation_tokens += count
        entry.first_token_s = self.start_s + plan.due_s(1)
        entry.content_sent_tokens = count
        if not plan.whole_edits or _tells_finish(entry.route, whole.body):
            entry.finish_reason = self.finish_reason
        self.send(whole)

    def _count(self, ending: Ending) -> None:
        """Tokens and times of a generation that has begun."""
        entry, series, answer = self.entry, self.series, self._answer
        tokens = entry.content_sent_tokens
        if answer is not None and len(answer.choices) > 1 and tokens >= answer.longest:
            # Of several choices, the longest alone has been counted so far. What the answer says of its usage may be a lie.
            total = max(tokens, sum(map(length, answer.choices)))
            series.generation_tokens += total - tokens
            tokens = total
        entry.completion_tokens = tokens
        if self.account is not None:
            self.account.used(entry.prompt_tokens + tokens)
        now_s = self.reply.now()
        first_s = now_s if entry.first_token_s is None else entry.first_token_s
        finish = entry.finish_reason if ending == "complete" else None
        gaps = -1 if self._known.call.stream else entry.content_sent_tokens - 1
        series.ended(
            finish,
            queued_s=entry.queued_s,
            prefill_s=first_s - self.start_s,
            decode_s=now_s - first_s,
            prompt_tokens=entry.prompt_tokens,
            tokens=tokens,
            gaps=gaps,
        )


def _facts(known: Known) -> Facts:
    """What they say of the request; what each arrival has of its own, attempt, load and account, is left open."""
    call, prompt = known.call, known.prompt_tokens
    return Facts(
        route=known.route,
        dialect=known.dialect,
        model=call.model,
        key=known.key,
        stream=call.stream,
        prompt_tokens=prompt,
        wanted_tokens=prompt + (call.max_tokens or MOST_TOKENS) * call.n,
        tenant=call.tenant,
        call=call,
    )


_FINISH_MEMBERS = {CHAT: "choices", MESSAGES: "stop_reason", RESPONSES: "status"}


def _tells_finish(route: str, body: bytes) -> bool:
    """Whether a body that faults have edited still says how the answer ended."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and _FINISH_MEMBERS[route] in document
