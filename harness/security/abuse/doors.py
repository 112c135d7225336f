"""Doors that must be closed to who has no token, and limits that no header may lift."""

from __future__ import annotations

from collections.abc import Iterator

from harness.score.check import Status
from harness.security.abuse.exchange import Attempt, Came, Gate, judged

_SPOOFS = (
    {"x-forwarded-for": "203.0.113.7"}, {"x-real-ip": "203.0.113.8"}, {"forwarded": "for=203.0.113.9"}, {"x-client-ip": "203.0.113.10"},
    {"true-client-ip": "203.0.113.11"}, {"x-originating-ip": "203.0.113.12"}, {"x-request-id": "another"}, {"user-agent": "another"},
)  # fmt: skip


def admin(gate: Gate) -> Iterator[Attempt]:
    """Each named door, without a token; with the key, it shows that there is something behind it."""
    for route in gate.plan.admin:
        behind = gate.ask(route, gate.key)
        came = gate.ask(route)
        attempt = judged("admin", route.path, f"{route.method} {route.path} without a token", came)
        if attempt.status is Status.PASS and not behind.status:
            attempt = Attempt(
                attempt.family, attempt.name, attempt.sent, attempt.came, Status.INCONCLUSIVE, f"nothing is behind it: {behind}"
            )
        yield attempt


def rate(gate: Gate) -> Iterator[Attempt]:
    """A burst until the limit is met, then what should not lift it. Each spoof stands between two plain requests that are limited."""
    route = gate.plan.routes.ask or gate.plan.routes.protected
    most = gate.plan.max_requests
    sent = f"up to {most} requests in a row"
    met = 0
    for number in range(1, most + 1):
        came = gate.ask(route, _limited(gate), text="Which limit holds?")
        if not came.status:
            yield judged("rate", "limit", sent, came)
            return
        if came.status == 429:
            met = number
            break
    if not met:
        yield Attempt("rate", "limit", sent, f"{most} answers, none of them 429", Status.FAIL, f"no limit was met within {most} requests")
        return
    yield Attempt("rate", "limit", sent, f"429 at request {met}", Status.PASS, f"limited at request {met}")
    for headers in _SPOOFS:
        ((name, value),) = headers.items()
        yield _spoofed(gate, f"{name}", f"{name}: {value} while limited", headers)


def _spoofed(gate: Gate, name: str, sent: str, headers: dict[str, str]) -> Attempt:
    """Fails only where the spoofed request is answered while plain ones before and after it are not, twice: a window may end in between."""
    route = gate.plan.routes.ask or gate.plan.routes.protected
    came = Came(0, "never limited long enough to tell")
    lifted = 0
    for _ in range(6):
        for _ in range(gate.plan.max_requests):
            if gate.ask(route, _limited(gate), text="Which limit holds?").status == 429:
                break
        spoofed = gate.ask(route, _limited(gate), text="Which limit holds?", headers=headers)
        after = gate.ask(route, _limited(gate), text="Which limit holds?")
        if spoofed.status == 429:
            return Attempt("rate", name, sent, str(spoofed), Status.PASS, "limited all the same")
        if after.status == 429:
            came, lifted = spoofed, lifted + 1
        if lifted == 2:
            return Attempt("rate", name, sent, str(came), Status.FAIL, f"answered {came}: the header lifts the limit")
    return Attempt("rate", name, sent, str(came), Status.INCONCLUSIVE, "the limit did not hold long enough to tell")


def _limited(gate: Gate) -> str:
    return gate.limited_key or gate.key
