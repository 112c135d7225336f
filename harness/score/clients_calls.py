"""From a provider's journal to logical calls: the attempts by which one caller wanted one answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.record.provider import OWN_USER_AGENT, Exchange
from harness.score.clients_trouble import Trouble, trouble

CLOCK_S = 0.005  # two times of one journal are compared with this tolerance: event loops tell milliseconds
NOTICE_S = 0.25  # until a provider has noticed that a client hung up
TOLD_FACTOR, TOLD_SLACK_S = 1.5, 10.0  # a caller that was told when to come back may be that much later

_Key = tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """One exchange of a call, and how it came out."""

    row: Exchange
    trouble: Trouble


@dataclass(frozen=True)
class Call:
    """Attempts in the order of their arrival. `certain` is False where equal requests ran side by side and nothing tells them apart."""

    attempts: tuple[Attempt, ...]
    certain: bool = True

    @property
    def caller(self) -> str:
        """Of the first attempt: further ones may come through other layers."""
        return self.attempts[0].row.caller

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @cached_property
    def troubled(self) -> bool:
        """Did any attempt meet a reason for another one?"""
        return any(a.trouble not in (Trouble.NONE, Trouble.LEFT, Trouble.OPEN) for a in self.attempts)

    @cached_property
    def pairs(self) -> tuple[tuple[Attempt, Attempt | None], ...]:
        """Each attempt with the next one that met the same refusal; None where there is none.

        What a provider refuses, it refuses to an account and at a path: another key, or another deployment, may be asked at once.
        """
        found: list[tuple[Attempt, Attempt | None]] = []
        later: dict[tuple[str, str | None, str], Attempt] = {}
        for attempt in reversed(self.attempts):
            asked = (attempt.row.service, attempt.row.account, attempt.row.path)
            found.append((attempt, later.get(asked)))
            later[asked] = attempt
        return tuple(reversed(found))

    def followed(self, attempt: Attempt) -> bool:
        """Did any attempt follow that one, wherever?"""
        return self.last is not attempt


def waited_s(attempt: Attempt, following: Attempt) -> float:
    """From the end of an attempt to the next one; never negative."""
    return max(0.0, following.row.arrived_s - attempt.row.ended_s)


def calls_of(rows: Iterable[Exchange], idle_s: float) -> tuple[Call, ...]:
    """All logical calls, by the arrival of their first attempt.

    One trace (else one caller), method, route (of requests without a body: path) and body make a group. In it, a request continues a call
    if it came after the end of the call's last attempt, if that was no success, and (without a trace) within `idle_s`, or a little more
    than the provider had told.
    """
    grouped: dict[_Key, list[Attempt]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r.arrived_s, r.service, r.seq)):
        if row.user_agent != OWN_USER_AGENT:
            grouped[_key(row)].append(Attempt(row, trouble(row)))
    calls = [call for attempts in grouped.values() for call in _chain(attempts, idle_s)]
    return tuple(sorted(calls, key=lambda c: (c.attempts[0].row.arrived_s, c.attempts[0].row.service, c.attempts[0].row.seq)))


def _key(row: Exchange) -> _Key:
    who = ("trace", row.trace_id) if row.trace_id else ("caller", row.caller)
    what = ("body", row.body) if row.body else ("row", row.service, str(row.seq))  # without a fingerprint nothing says that two are equal
    where = row.route if row.method == "POST" else row.path or row.route  # without a body, the path says what is wanted
    return (*who, row.method, where, *what)


def _chain(attempts: Sequence[Attempt], idle_s: float) -> Iterator[Call]:
    crowded = attempts[0].row.trace_id is None and _overlap(attempts)
    calls: list[list[Attempt]] = []
    going_on: list[list[Attempt]] = []  # those that a further attempt may continue
    for attempt in attempts:
        going_on = [c for c in going_on if _may_go_on(c[-1], attempt, idle_s)]
        call = _continued(going_on, attempt, crowded)
        if call is None:
            call = []
            calls.append(call)
            going_on.append(call)
        call.append(attempt)
    for call in calls:
        yield Call(tuple(call), certain=not crowded or call[0].row.client_attempt is not None)


def _overlap(attempts: Sequence[Attempt]) -> bool:
    """Were there two at once?"""
    busy_until_s = 0.0
    for attempt in attempts:
        if attempt.row.arrived_s < busy_until_s:
            return True
        busy_until_s = max(busy_until_s, _over_s(attempt))
    return False


def _over_s(attempt: Attempt) -> float:
    """From when on a further request is no longer beside this one."""
    unnoticed = attempt.row.left_s is not None or attempt.trouble is Trouble.HANGING
    return attempt.row.ended_s - (NOTICE_S if unnoticed else CLOCK_S)


def _may_go_on(last: Attempt, now: Attempt, idle_s: float) -> bool:
    """After a success nothing follows, and without a trace nothing follows late."""
    if last.trouble is Trouble.NONE:
        return False
    told_s = last.row.retry_after_s
    patience_s = idle_s if told_s is None else max(idle_s, TOLD_FACTOR * told_s + TOLD_SLACK_S)
    return now.row.trace_id is not None or now.row.arrived_s - last.row.ended_s <= patience_s


def _continued(calls: Sequence[list[Attempt]], attempt: Attempt, crowded: bool) -> list[Attempt] | None:
    """The call that this attempt belongs to, if any."""
    number = attempt.row.client_attempt
    fitting = [c for c in calls if attempt.row.arrived_s >= _over_s(c[-1])]
    if number:  # the client itself says that it has asked before; an attempt that never arrived leaves a gap
        counted = [(c[-1].row.client_attempt, c) for c in fitting]
        fitting = [c for before, c in counted if before is not None and before < number]
        # Of equal ones the first that ended: pairing a late repetition with an early end accuses nobody of haste.
        return max(fitting, key=lambda c: (c[-1].row.client_attempt or 0, -c[-1].row.ended_s), default=None)
    return None if crowded else max(fitting, key=lambda c: c[-1].row.ended_s, default=None)
