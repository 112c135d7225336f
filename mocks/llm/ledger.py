"""Where the provider's requests go when they are over."""

from mocks.common import ledger as common
from mocks.common.journal import Journal
from mocks.common.latency import AT_ONCE
from mocks.common.ledger import Ending
from mocks.http.message import Request
from mocks.llm.entry import Entry
from mocks.llm.exposition import Metrics
from mocks.llm.memory import Known, KnownVectors

Done = tuple[Request, str, Known | KnownVectors, int, float, float]
"""A request whose whole answer has left within one call: its id, what was known of it, which arrival of its key it was, and when it ended
(seconds: monotonic, wall clock)."""
_MOST_DONE = 64


class Ledger(common.Ledger[Entry, Metrics]):
    """Writes the entries of requests whose answers leave at once for many of them together."""

    def __init__(self, metrics: Metrics, journal: Journal, service: str, instance: str, *, log_requests: bool) -> None:
        super().__init__(metrics, journal, service, instance, log_requests=log_requests)
        self._done: list[Done] = []
        self._most_done = 1 if log_requests else _MOST_DONE
        journal.before_reading(self.settle)
        metrics.before_reading(self.settle)

    def finish(self, entry: Entry, ending: Ending) -> None:
        """It is over, now; a second time changes nothing."""
        if self._done:
            self.settle()
        super().finish(entry, ending)

    def done(self, done: Done) -> None:
        """It has come and is over: its entry is written later, with many others, which costs each of them half as much."""
        self._done.append(done)
        if len(self._done) >= self._most_done:
            self.settle()

    def settle(self) -> None:
        """Write the entries of all that are `done`."""
        done, self._done = self._done, []
        for request, request_id, known, attempt, ended_s, ended_wall_s in done:
            entry = Entry(request, known.route, known.dialect, request_id)
            entry.key, entry.attempt, entry.model, entry.prompt_tokens = known.key, attempt, known.call.model, known.prompt_tokens
            if known.call.tenant is not None:
                entry.asked_for(known.call.tenant)
            entry.drawn = AT_ONCE
            entry.status = 200
            if isinstance(known, Known):
                self._generated(entry, known, ended_s)
            self._seal(entry, "complete", ended_s, ended_wall_s)

    def _generated(self, entry: Entry, known: Known, ended_s: float) -> None:
        answer = known.answer
        assert answer is not None, "it has been given"
        prompt, tokens = known.prompt_tokens, answer.usage.completion_tokens
        entry.first_token_s = entry.arrived_s
        entry.content_sent_tokens = answer.longest
        entry.completion_tokens = tokens
        entry.finish_reason = answer.choices[0].finish
        series = self.metrics.model(known.call.model)
        series.prompt_tokens += prompt
        series.generation_tokens += tokens
        series.ended(
            entry.finish_reason,
            queued_s=0.0,
            prefill_s=0.0,
            decode_s=ended_s - entry.arrived_s,
            prompt_tokens=prompt,
            tokens=tokens,
            gaps=answer.longest - 1,
        )
