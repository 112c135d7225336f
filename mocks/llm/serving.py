"""One request being served: what requests of every kind have in common."""

import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TypeVarTuple

from mocks.common.latency import Drawn
from mocks.common.ledger import Ending
from mocks.common.trickle import TrickledReply
from mocks.http.message import Reply, Request
from mocks.llm.accounts import Account
from mocks.llm.dialects.base import DialectName
from mocks.llm.dialects.errors import anthropic_type, error_body
from mocks.llm.engine import Engine
from mocks.llm.entry import Entry, request_id
from mocks.llm.errors import ProviderError
from mocks.llm.headers import answer_headers
from mocks.llm.plan import Facts, Plan, Whole
from mocks.llm.quotas import too_long

_Arguments = TypeVarTuple("_Arguments")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_BUG = ProviderError(500, "The server had an error while processing your request. Sorry about that!", "server_error")


class Serving:
    """Notes in an entry what happens, and sees to it that the entry ends exactly once, whoever ends it."""

    __slots__ = ("account", "engine", "entry", "plan", "rate_headers", "reply", "request", "start_s")

    def __init__(self, engine: Engine, request: Request, reply: Reply, route: str, dialect: DialectName, fallback_id: str) -> None:
        self.engine = engine
        self.request = request
        self.reply = reply
        self.entry = Entry(request, route, dialect, request_id(request, fallback_id))
        self.start_s = request.arrived_s
        self.plan: Plan | None = None
        self.account: Account | None = None
        self.rate_headers: Mapping[str, str] = _NO_HEADERS
        engine.ledger.arrived(self.entry)
        reply.on_gone(self._gone)

    def identify(self) -> None:
        """Whose request it is. Raises ProviderError 401."""
        accounts, entry = self.engine.accounts, self.entry
        if accounts.wanted:
            account = accounts.identify(entry.dialect, self.request.headers)
            self.account = account
            entry.account = account.settings.name
            entry.organization = account.settings.organization

    def note(self, model: str | None, key: str) -> None:
        """What is asked for, and of which model, if any; this arrival is counted."""
        entry = self.entry
        entry.model = model
        entry.key = key
        entry.attempt = self.engine.arrivals.count(key)

    def decide(self, facts: Facts, drawn: Drawn) -> Plan | None:
        """Limits, latency, faults: the plan for an answer of the model; None where there is none. Raises ProviderError over a limit.

        What `facts` leave open is filled in where somebody looks at it.
        """
        engine, entry = self.engine, self.entry
        if self.account is not None or engine.faults:
            facts = replace(
                facts,
                attempt=entry.attempt,
                in_flight=engine.in_flight(),
                account=entry.account,
                organization=entry.organization,
            )
        profile = engine.profile
        entry.prompt_tokens = facts.prompt_tokens
        if facts.tenant is not None:
            entry.asked_for(facts.tenant)
        entry.stream = facts.stream
        entry.drawn = drawn
        if profile.context_length is not None and facts.prompt_tokens > profile.context_length:
            raise too_long(facts, profile.context_length)
        if self.account is not None:
            self.rate_headers, refused = self.account.admit(facts, self.reply.now())
            if refused is not None:
                raise refused
        ttft_s, itl_s = drawn
        load = profile.latency.under_load
        if load.factor != 1:
            times = load.times(engine.in_flight())
            ttft_s, itl_s = ttft_s * times, itl_s * times
        self.plan = plan = Plan(facts, ttft_s, itl_s)
        applied = engine.faults.apply(plan, facts)
        if not applied:
            return plan
        entry.faults = {fault_id: engine.faults.kind(fault_id) for fault_id in applied}
        if plan.cut_next is not None:
            self.reply.cut_next(plan.cut_next)
        if not plan.decided:
            return plan
        self.settle_faults(plan)  # edits of an answer that nobody will get
        self.when(plan.decided_after_s, partial(self._as_decided, plan))
        return None

    def settle_faults(self, plan: Plan) -> None:
        """After the last edit: faults that have changed nothing have not been applied."""
        self.entry.faults = self.engine.faults.settle(self.entry.faults, plan.void)

    def when(self, due_s: float, callback: Callable[[], None]) -> None:
        """Call back that long after the answer began, now where that has passed."""
        moment_s = self.start_s + due_s
        if moment_s <= self.reply.now():
            callback()
        else:
            self.reply.at(moment_s, partial(self.guarded, callback))

    def guarded(self, callback: Callable[[*_Arguments], None], *arguments: *_Arguments) -> None:
        """Call; an error of the provider is answered, a bug ends this request alone."""
        try:
            callback(*arguments)
        except ProviderError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer in the provider's shape, and the journal says it
            self.failed(error)

    def headers(self) -> dict[str, str]:
        """What goes with the answer, now that it leaves."""
        entry, plan = self.entry, self.plan
        headers = answer_headers(entry.dialect, entry.request_id, entry.organization, self.reply.now() - entry.arrived_s)
        if self.rate_headers:
            headers.update(self.rate_headers)
        if plan is not None and plan.headers:
            headers.update(plan.headers)
        return headers

    def refuse(self, error: ProviderError) -> None:
        """Answer with an error, in the words of the dialect."""
        entry = self.entry
        entry.error = anthropic_type(error) if entry.dialect == "anthropic" else error.code or error.type
        self.send(Whole(error_body(entry.dialect, error, entry.request_id), error.status), error.headers)

    def send(self, whole: Whole, extra: Mapping[str, str] | None = None) -> None:
        """Answer in one piece, now; that ends it."""
        headers, plan = self.headers(), self.plan
        if extra is not None:
            headers.update(extra)
        if extra is not None or (plan is not None and plan.headers):
            self.entry.told(headers)
        if plan is not None and plan.headers_take_s > 0:
            self._trickle(whole, headers, plan.headers_take_s)
        else:
            self.reply.send(whole.status, whole.body, headers, whole.content_type, length=whole.length)
            self.entry.status = whole.status
            self.finish("complete")

    def finish(self, ending: Ending) -> None:
        """It is over."""
        entry = self.entry
        if entry.key is None and entry.open:
            entry.body_sha = hashlib.blake2b(self.request.body, digest_size=16).hexdigest()
        self.engine.ledger.finish(entry, ending)

    def failed(self, error: Exception) -> None:
        """A bug of the mock: counted apart from all faults that were put, said in the journal and on stderr."""
        entry = self.entry
        if not entry.open:
            return
        traceback.print_exception(error, file=sys.stderr)
        entry.error = f"{type(error).__name__}: {error}"
        self.engine.ledger.metrics.bugs += 1
        if entry.status:  # something has left already
            self.reply.cut("reset")
            self.finish("reset")
        else:
            self.reply.send(500, error_body(entry.dialect, _BUG, entry.request_id), {})
            entry.status = 500
            self.finish("complete")

    def _gone(self) -> None:
        self.entry.disconnected_s = self.reply.now()
        self.finish("hang" if self.entry.silent else "disconnected")

    def _as_decided(self, plan: Plan) -> None:
        """What is said in the place of an answer."""
        if plan.error is not None:
            self.refuse(plan.error)
        elif plan.instead is not None:
            self.send(plan.instead)
        elif plan.before == "hang":
            self.entry.silent = True
            self.reply.hang()
        elif plan.before is not None:
            self.reply.cut(plan.before)
            self.finish(plan.before)

    def _trickle(self, whole: Whole, headers: Mapping[str, str], over_s: float) -> None:
        channel = TrickledReply(self.reply, over_s)

        def rest() -> None:
            if whole.body:
                channel.write(whole.body)
            channel.end()
            self.finish("complete")

        channel.begin(whole.status, headers, whole.content_type, len(whole.body) if whole.length is None else whole.length)
        self.entry.status = whole.status
        channel.on_drained(partial(self.guarded, rest))
