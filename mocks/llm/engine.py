"""What all requests of a provider share, and what changes while it runs."""

from collections.abc import Mapping
from typing import Any

from mocks.common.key import Arrivals, generator, request_key, share
from mocks.common.latency import ROW
from mocks.faults.table import FaultTable
from mocks.llm.accounts import Accounts
from mocks.llm.answer import Answer
from mocks.llm.answers.base import Composer, completed, prompt_tokens
from mocks.llm.answers.strategies import Echo
from mocks.llm.dialects.base import Dialect, DialectName, parse_json
from mocks.llm.dialects.errors import unknown_model
from mocks.llm.ledger import Ledger
from mocks.llm.memory import CHOICE_BYTES, Known, KnownVectors, Memory
from mocks.llm.plan import Plan
from mocks.llm.profile import Profile
from mocks.llm.queueing import Slots
from mocks.llm.template import Template


class Engine:
    """Profile, faults, accounts, places, and the memory of what came."""

    def __init__(self, profile: Profile, faults: FaultTable[Plan], ledger: Ledger) -> None:
        self.profile = profile
        self.faults = faults
        self.ledger = ledger
        self.accounts = Accounts(profile.accounts)
        self.arrivals = Arrivals()
        self.memory: Memory[Known] = Memory()
        self.vectors: Memory[KnownVectors] = Memory()
        self.slots = Slots(profile.max_concurrency)
        self.unhindered = False
        """Whether nothing stands between a request and its answer: no fault, no account, no limit, no latency."""
        faults.on_change(self._look)
        self._look()

    def change(self, profile: Profile) -> None:
        """Go on with another profile; answers that have begun stay as they are."""
        self.profile = profile
        self.memory.forget()
        self.slots.change(profile.max_concurrency)
        self._look()

    def in_flight(self) -> int:
        """How many would be generated at once, with one more that comes now."""
        most, count = self.profile.max_concurrency, self.slots.running + 1
        return count if most is None else min(count, most)

    def key_of(self, dialect: DialectName, route: str, body: Mapping[str, Any], model: str) -> str:
        """The key of a request with this body. Raises ProviderError 404 for a model that is not served."""
        profile = self.profile
        if not profile.serves(model):
            raise unknown_model(dialect, model)
        return request_key(profile.seed, route, body)

    def understood(self, dialect: Dialect, deployment: str | None, raw: bytes) -> Known:
        """What a request's body asks for; Azure's deployments are models. Raises ProviderError."""
        memory, address = self.memory, (dialect, deployment)
        known = memory.recall(address, raw)
        if known is None:
            body = parse_json(raw)
            if deployment is not None:
                body["model"] = deployment
            call = dialect.parse(body)
            key = self.key_of(dialect.name, dialect.route, body, call.model)
            known = Known(dialect.route, dialect.name, call, key, prompt_tokens(call))
            if key in self.arrivals:  # most requests never come again, and keeping them all would cost more than it saves
                memory.keep(address, raw, known, CHOICE_BYTES * call.n)
        return known

    def compose(self, known: Known, dialect: Dialect) -> Answer:
        """The answer to a request, without id and time; what it says depends on the request's key alone."""
        answer = known.answer
        if answer is None:
            answer = known.answer = self._composed(known)
        elif known.template is None and not known.call.stream:  # it has come before, and may again: now a template pays
            known.template = Template.of(lambda answer: dialect.whole(answer, known.call), dialect.id_prefix, answer)
        return answer

    def _look(self) -> None:
        profile = self.profile
        limited = self.accounts.wanted or profile.max_concurrency is not None or profile.context_length is not None
        self.unhindered = profile.latency.at_once and not limited and not self.faults

    def _composed(self, known: Known) -> Answer:
        profile, key = self.profile, known.key
        answerer = profile.answerer
        if profile.lengths is not None:
            answerer = Composer(Echo(profile.lengths[int(share(key, ROW) * len(profile.lengths))]))
        choices = answerer.compose(known.call, generator(key))
        return completed("", profile.named(known.call.model), 0, choices, known.prompt_tokens)
