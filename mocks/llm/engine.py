"""What all requests of a provider share, and what changes while it runs."""

from mocks.common.key import Arrivals, generator, share
from mocks.common.latency import ROW
from mocks.faults.table import FaultTable
from mocks.llm.accounts import Accounts
from mocks.llm.answer import Answer
from mocks.llm.answers.base import Composer, completed
from mocks.llm.answers.strategies import Echo
from mocks.llm.dialects.base import Dialect
from mocks.llm.entry import Ledger
from mocks.llm.memory import Known, KnownVectors, Memory
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

    def change(self, profile: Profile) -> None:
        """Go on with another profile; answers that have begun stay as they are."""
        self.profile = profile
        self.memory.forget()
        self.slots.change(profile.max_concurrency)

    def in_flight(self) -> int:
        """How many would be generated at once, with one more that comes now."""
        most, count = self.profile.max_concurrency, self.slots.running + 1
        return count if most is None else min(count, most)

    def compose(self, known: Known, dialect: Dialect) -> Answer:
        """The answer to a request, without id and time; what it says depends on the request's key alone."""
        if known.answer is None:
            known.answer = self._composed(known)
        elif known.template is None and not known.call.stream:  # it has come before, and may again: now a template pays
            known.template = Template.of(lambda answer: dialect.whole(answer, known.call), dialect.id_prefix, known.answer)
        return known.answer

    def _composed(self, known: Known) -> Answer:
        profile, key = self.profile, known.facts.key
        answerer = profile.answerer
        if profile.lengths is not None:
            answerer = Composer(Echo(profile.lengths[int(share(key, ROW) * len(profile.lengths))]))
        choices = answerer.compose(known.call, generator(key))
        return completed("", profile.named(known.call.model), 0, choices, known.facts.prompt_tokens)
