"""One request from its arrival to its answer, the same for both products; the one place where faults act."""

import math
import sys
import traceback
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any, Literal

from mocks.common.key import Arrivals
from mocks.common.trickle import TrickledReply
from mocks.faults.table import FaultTable
from mocks.http.message import Cut, Reply, Request
from mocks.vector.call import Call, Outcome, Service
from mocks.vector.encoding import lenient, strict
from mocks.vector.ledger import Entry, Ledger
from mocks.vector.metrics import CONTENT_TYPE
from mocks.vector.plan import Hits, VectorError, VectorFacts, VectorPlan, Whole
from mocks.vector.profile import LiveProfile

Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds, whoever has gone by then (`loop.call_later`)."""

_PROBES = {"/health": b'{"status":"ok"}', "/ready": b'{"ready":true,"checks":{}}'}


class Flow:
    """Handles every request of one service."""

    def __init__(self, service: Service, profile: LiveProfile, faults: FaultTable[VectorPlan], ledger: Ledger, later: Later) -> None:
        self.service = service
        self.profile = profile
        self.faults = faults
        self.ledger = ledger
        self.later = later
        self.arrivals = Arrivals()
        self._count = 0

    def handle(self, request: Request, reply: Reply) -> None:
        """The server's handler. The stack's own probes are answered past faults and journal."""
        if request.method in ("GET", "HEAD") and request.path in _PROBES:
            reply.send(200, _PROBES[request.path], {})
        elif request.method in ("GET", "HEAD") and request.path == "/metrics":
            reply.send(200, self.ledger.metrics.render(), {}, CONTENT_TYPE)
        else:
            self._count += 1
            Serving(self, request, reply, f"req-{self._count:08x}").begin()


class Serving:
    """One request being served; its entry ends exactly once, whoever ends it."""

    def __init__(self, flow: Flow, request: Request, reply: Reply, fallback_id: str) -> None:
        self._flow = flow
        self._request = request
        self._reply = reply
        self._entry = Entry(request, flow.service.name, fallback_id)
        self._headers_take_s = 0.0
        flow.ledger.arrived(self._entry)
        reply.on_gone(self._gone)

    def begin(self) -> None:
        """Decide and do what is asked for; the answer leaves now, or when it is due."""
        self._guarded(self._serve)

    def _serve(self) -> None:
        call = self._flow.service.call(self._request)
        plan = self._plan(call)
        if plan.cut_next is not None:
            self._reply.cut_next(plan.cut_next)
        answer = partial(self._as_decided, plan) if plan.decided else partial(self._deliver, plan, self._whole(call, plan))
        self._entry.faults = self._flow.faults.settle(self._entry.faults, plan.void)
        self._when(plan.due_s, answer)

    def _plan(self, call: Call) -> VectorPlan:
        flow, entry, request = self._flow, self._entry, self._request
        path = request.raw_path if call.path is None else call.path
        asked = f"{flow.profile.now.seed}:{request.method} {path}?{request.query}\n".encode("utf-8", "surrogateescape")
        key = blake2b(asked + request.body, digest_size=16).hexdigest()
        attempt = flow.arrivals.count(key)
        facts = VectorFacts(
            flow.service.name, call.operation, call.kind, call.route, key, attempt, call.collection, call.account, call.tenant,
            flow.ledger.metrics.in_progress,
        )  # fmt: skip
        entry.route, entry.operation, entry.collection = call.route, call.operation, call.collection
        entry.key, entry.attempt, entry.account, entry.tenant = key, attempt, call.account, call.tenant
        entry.drawn_s = flow.profile.now.delay_s(call.kind, key)
        plan = VectorPlan(facts, entry.drawn_s)
        entry.faults = {id: flow.faults.kind(id) for id in flow.faults.apply(plan, facts)}
        self._headers_take_s = plan.headers_take_s
        return plan

    def _whole(self, call: Call, plan: VectorPlan) -> Whole:
        """The answer of the operation, which is carried out now; an error is an answer as well."""
        service = self._flow.service
        try:
            if plan.renew is not None and service.renew(call):
                plan.renew()
            outcome = call.perform()
            self._commit(outcome, plan)
            lists = _edited(outcome, plan)
            self._entry.hits = sum(map(len, lists)) if outcome.others else None
            body = outcome.body(lists)
        except VectorError as error:
            return self._refusal(error, plan)
        except OSError as error:  # the disk is full, or gone: the service's own trouble, as it would be the product's
            return self._refusal(VectorError(500, f"Service internal error: {error}", "InternalError"), plan)
        for edit in plan.body_edits:
            body = edit(body)
        whole = self._encoded(outcome, body, plan)
        for change in plan.whole_edits:
            whole = change(whole)
        return whole

    def _encoded(self, outcome: Outcome, body: Any, plan: VectorPlan) -> Whole:
        encode = lenient if plan.hit_edits or plan.body_edits else strict
        if outcome.content_type != "application/json":
            return Whole(body.encode(), outcome.status, outcome.content_type)
        if outcome.bare:
            return Whole(encode(body), outcome.status)
        return self._flow.service.answer(body, outcome.status, self._took_s(plan), encode)

    def _commit(self, outcome: Outcome, plan: VectorPlan) -> None:
        if outcome.commit is None or math.isinf(plan.visible_after_s):
            return
        if plan.visible_after_s <= 0:
            outcome.commit()
        else:
            self._flow.later(plan.due_s + plan.visible_after_s, partial(_late, outcome.commit))

    def _took_s(self, plan: VectorPlan | None) -> float:
        since_s = self._reply.now() - self._entry.arrived_s
        return round(max(since_s, 0.0 if plan is None else plan.due_s), 9)

    def _refusal(self, error: VectorError, plan: VectorPlan | None = None, said: str | None = None) -> Whole:
        self._entry.failed(said or error.name or error.message or f"status {error.status}")
        return self._flow.service.refusal(error, self._took_s(plan))

    def _as_decided(self, plan: VectorPlan) -> None:
        if plan.error is not None:
            self._send(plan, self._refusal(plan.error, plan))
        elif plan.instead is not None:
            self._send(plan, plan.instead)
        elif plan.before is not None:
            self._break(plan.before)

    def _deliver(self, plan: VectorPlan, whole: Whole) -> None:
        if plan.after is not None:
            self._break(plan.after)
        else:
            self._send(plan, whole)

    def _break(self, how: Cut | Literal["hang"]) -> None:
        if how == "hang":
            self._entry.silent = True
            self._reply.hang()
        else:
            self._reply.cut(how)
            self._flow.ledger.finish(self._entry, how)

    def _send(self, plan: VectorPlan | None, whole: Whole) -> None:
        headers = {**whole.headers, **(plan.headers if plan is not None else {})}
        self._entry.told(headers)
        self._entry.status = whole.status
        if self._headers_take_s > 0:
            self._trickle(whole, headers)
            return
        self._reply.send(whole.status, whole.body, headers, whole.content_type, length=whole.length)
        self._flow.ledger.finish(self._entry, "complete")

    def _trickle(self, whole: Whole, headers: dict[str, str]) -> None:
        channel = TrickledReply(self._reply, self._headers_take_s)

        def rest() -> None:
            if whole.body:
                channel.write(whole.body)
            channel.end()
            self._flow.ledger.finish(self._entry, "complete")

        channel.begin(whole.status, headers, whole.content_type, len(whole.body) if whole.length is None else whole.length)
        channel.on_drained(partial(self._guarded, rest))

    def _when(self, due_s: float, callback: Callable[[], None]) -> None:
        moment_s = self._entry.arrived_s + due_s
        if moment_s <= self._reply.now():
            callback()
        else:
            self._reply.at(moment_s, partial(self._guarded, callback))

    def _guarded(self, callback: Callable[[], None]) -> None:
        """Call; a refusal is answered, a bug ends this request alone."""
        try:
            callback()
        except VectorError as error:
            self._send(None, self._refusal(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer in the product's shape, and the journal says it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not self._entry.open:
            return
        traceback.print_exception(error, file=sys.stderr)
        self._flow.ledger.metrics.bugs += 1
        refused = VectorError(500, f"Service internal error: {type(error).__name__}", "InternalError")
        self._send(None, self._refusal(refused, said=f"{type(error).__name__}: {error}"))

    def _gone(self) -> None:
        self._entry.disconnected_s = self._reply.now()
        self._flow.ledger.finish(self._entry, "hang" if self._entry.silent else "disconnected")


def _edited(outcome: Outcome, plan: VectorPlan) -> list[Hits]:
    lists = outcome.lists
    for edit in plan.hit_edits:
        if outcome.searches or not edit.searches:
            lists = [edit.change(hits, others) for hits, others in zip(lists, outcome.others, strict=True)]
    return lists


def _late(commit: Callable[[], None]) -> None:
    """Make a change long after it was acknowledged: nobody is left to hear that it could not be made."""
    try:
        commit()
    except (VectorError, KeyError, ValueError):  # its collection or points have gone meanwhile, or others have come that it does not fit
        return
