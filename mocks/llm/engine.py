"""What all requests of a provider share, and what changes while it runs."""

from mocks.faults.table import FaultTable
from mocks.llm.accounts import Accounts
from mocks.llm.answer import Answer
from mocks.llm.answers.base import Composer, completed
from mocks.llm.answers.strategies import Echo
from mocks.llm.entry import Ledger
from mocks.llm.key import Arrivals, generator, share
from mocks.llm.latency import ROW
from mocks.llm.memory import Known, Memory
from mocks.llm.plan import Plan
from mocks.llm.profile import Profile
from mocks.llm.queueing import Slots


class Engine:
    """Profile, faults, accounts, places, and the memory of what came."""

    def __init__(self, profile: Profile, faults: FaultTable[Plan], ledger: Ledger) -> None:
        self.profile = profile
        self.faults = faults
        self.ledger = ledger
        self.accounts = Accounts(profile.accounts)
        self.arrivals = Arrivals()
        self.memory = Memory()
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

    def answer(self, known: Known, answer_id: str, created: int) -> Answer:
        """The answer to a request; what it says depends on the request's key alone."""
        found = known.answer
        if found is None:
            found = known.answer = self._compose(known)
        return Answer(answer_id, found.model, created, found.choices, found.usage, found.longest)

    def _compose(self, known: Known) -> Answer:
        profile = self.profile
        answerer = profile.answerer
        if profile.lengths is not None:
            answerer = Composer(Echo(profile.lengths[int(share(known.key, ROW) * len(profile.lengths))]))
        choices = answerer.compose(known.call, generator(known.key))
        return completed("", profile.named(known.call.model), 0, choices, known.prompt)
