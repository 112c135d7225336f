"""All families, one after the other, each between two controls that must work."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from harness.score.check import Status
from harness.security.abuse import contents, doors, tokens, wire
from harness.security.abuse.contents import Pause
from harness.security.abuse.exchange import Attempt, Gate, SpentError
from harness.security.abuse.plan import FAMILIES, Family


def run(gate: Gate, pause: Pause, say: Callable[[str], None]) -> list[Attempt]:
    """Every attempt. A family without one is told as INCONCLUSIVE, unless the plan leaves it out with a reason."""
    unique = secrets.token_hex(4)
    families: Mapping[Family, Callable[[], Iterator[Attempt]]] = {
        "tokens": lambda: tokens.attempts(gate),
        "bodies": lambda: wire.bodies(gate),
        "traversal": lambda: wire.traversal(gate),
        "smuggling": lambda: wire.smuggling(gate),
        "injection": lambda: contents.injection(gate, unique, pause),
        "tenants": lambda: contents.tenants(gate, unique, pause),
        "admin": lambda: doors.admin(gate),
        "rate": lambda: doors.rate(gate),
    }
    wanted = [name for name in FAMILIES if name not in gate.plan.leave_out]
    return list(chain.from_iterable(_controlled(gate, name, families[name], say) for name in wanted))


def _controlled(gate: Gate, family: str, attempts: Callable[[], Iterator[Attempt]], say: Callable[[str], None]) -> list[Attempt]:
    found: list[Attempt] = []
    try:
        before = gate.control()
        if not before.fine and not (family == "rate" and before.status == 429):
            return [_doubt(family, f"the control before it did not work: {before}")]
        found.extend(attempts())
        after = gate.control()
        if not after.fine and after.status != 429:
            found = [one if one.status is Status.FAIL else _unproved(one, str(after)) for one in found]
    except SpentError:
        found.append(_doubt(family, "time or requests of this step were used up"))
    say(f"{family}: {len(found)} attempt{'' if len(found) == 1 else 's'}")
    return found or [_doubt(family, "the plan does not say enough to try it; name its routes, or leave it out with a reason")]


def _doubt(family: str, reason: str) -> Attempt:
    return Attempt(family, "control", "", "", Status.INCONCLUSIVE, reason)


def _unproved(one: Attempt, after: str) -> Attempt:
    return Attempt(
        one.family, one.name, one.sent, one.came, Status.INCONCLUSIVE, f"{one.reason}; but the control after it did not work: {after}"
    )
