"""What all requests of a provider share, and what changes while it runs."""

from mocks.faults.table import FaultTable
from mocks.llm.accounts import Accounts
from mocks.llm.answer import Answer, ChatCall
from mocks.llm.answers.base import Composer, completed, prompt_tokens
from mocks.llm.answers.strategies import Echo
from mocks.llm.entry import Ledger
from mocks.llm.key import Arrivals, generator, share
from mocks.llm.latency import ROW
from mocks.llm.plan import Plan
from mocks.llm.profile import Profile
from mocks.llm.queueing import Slots

__all__ = ["Engine", "prompt_tokens"]


class Engine:
    """Profile, faults, accounts, places, and the memory of what came."""

    def __init__(self, profile: Profile, faults: FaultTable[Plan], ledger: Ledger) -> None:
        self.profile = profile
        self.faults = faults
        self.ledger = ledger
        self.accounts = Accounts(profile.accounts)
        self.arrivals = Arrivals()
        self.slots = Slots(profile.max_concurrency)

    def change(self, profile: Profile) -> None:
        """Go on with another profile; answers that have begun stay as they are."""
        self.profile = profile
        self.slots.change(profile.max_concurrency)

    def in_flight(self) -> int:
        """How many would be generated at once, with one more that comes now."""
        return self.slots.running + 1 if self.profile.max_concurrency is None else min(self.slots.running + 1, self.profile.max_concurrency)

    def compose(self, call: ChatCall, key: str, answer_id: str, created: int, prompt: int) -> Answer:
        """The answer to a call; its text depends on the key alone."""
        profile = self.profile
        answerer = profile.answerer
        if profile.lengths is not None:
            answerer = Composer(Echo(profile.lengths[int(share(key, ROW) * len(profile.lengths))]))
        return completed(answer_id, profile.named(call.model), created, answerer.compose(call, generator(key)), prompt)
