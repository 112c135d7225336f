"""What of an answer shows a fault, where that is the same for every kind of service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.faults.base import Evidence
from harness.faults.programmed.row import Look, Sees, View
from harness.faults.programmed.wire import Ended, Exchange

_HEAD_OF_PAGE = 80


def refusal(expected: int | None = None, word: str = "") -> Sees:
    """An answer with this status (else the one that was asked for) whose body has that word in it, and the advice that was asked for."""

    def sees(view: View) -> Evidence | None:
        status = view.document["status"] if expected is None else expected
        for step, one in view.look.items():
            if one.status == status and word.encode() in one.body and _advises(one, view.document) and _waited(one, view):
                return {"step": step, "status": status, "took_s": one.took_s, "says": one.body[:_HEAD_OF_PAGE].decode(errors="replace")}
        return None

    return sees


def _advises(one: Exchange, document: Mapping[str, Any]) -> bool:
    headers = {"retry_after_s": "retry-after", "retry_after_ms": "retry-after-ms", "should_retry": "x-should-retry"}
    return all(header in one.headers for key, header in headers.items() if document.get(key) is not None)


def _waited(one: Exchange, view: View) -> bool:
    return one.took_s >= view.clearly * float(view.document.get("after_s", 0.0))


def cut_unanswered(how: Ended | None = None) -> Sees:
    """A connection that ended like this before the first byte of an answer; without `how`, as was asked for."""

    def sees(view: View) -> Evidence | None:
        wanted = view.document["how"] if how is None else how
        wanted = "silent" if wanted == "hang" else wanted
        for step, one in view.look.items():
            if view.ended(one, wanted) and not one.status and one.first_byte_s is None and _waited(one, view):
                return {"step": step, "ended": one.ended, "took_s": one.took_s}
        return None

    return sees


def dead_when_used_again(view: View) -> Evidence | None:
    """A good answer, and the next request on that connection cut at its first byte."""
    first, *others = view.look.values()
    if not first.good or not others or others[0].ended not in ("fin", "reset") or others[0].status:
        return None
    return {"first_status": first.status, "ended": others[0].ended}


def in_body(shows: Callable[[Exchange], Any]) -> Sees:
    """A body, said to be whole, of which `shows` tells something."""

    def sees(view: View) -> Evidence | None:
        for step, one in view.look.items():
            told = shows(one) if one.good else None
            if told:
                return {"step": step, "status": one.status, "body_bytes": len(one.body), "found": told}
        return None

    return sees


def empty(one: Exchange) -> str:
    """Nothing in it."""
    return "" if one.body else "no bytes"


def ends_early(one: Exchange) -> str:
    """JSON that breaks off."""
    return "JSON that ends early" if one.body and one.value() is None and not _spoilt(one) else ""


def no_json(one: Exchange) -> str:
    """JSON with a comma too many."""
    return "JSON with a comma too many" if _spoilt(one) else ""


def _spoilt(one: Exchange) -> bool:
    """Whether it would be JSON but for a comma at its end."""
    body = one.body.rstrip()
    for repaired in (body[:-1], body[:-2] + body[-1:]):
        if one.value() is None and body[-2:].count(b",") and Exchange(body=repaired).value() is not None:
            return True
    return False


def short_body(view: View) -> Evidence | None:
    """Fewer bytes than were announced."""
    for step, one in view.look.items():
        announced = one.headers.get("content-length", "0")
        if one.ended == "fin" and one.status and announced.isdigit() and len(one.body) < int(announced):
            return {"step": step, "announced_bytes": int(announced), "body_bytes": len(one.body)}
    return None


Measure = Callable[[Look, Mapping[str, Any]], float | None]
"""A time in a look, in seconds; None where there was nothing to measure."""


def slower_by(asked: Callable[[Mapping[str, Any]], float], measure: Measure) -> Sees:
    """That much more than the healthy service takes."""

    def sees(view: View) -> Evidence | None:
        more_s = asked(view.document)
        return _slow(view, measure, lambda healthy_s: healthy_s + view.clearly * more_s, more_s)

    return sees


def as_slow_as(key: str, measure: Measure) -> Sees:
    """That much in the place of what the healthy service takes."""

    def sees(view: View) -> Evidence | None:
        wanted_s = float(view.document[key])
        return _slow(view, measure, lambda healthy_s: healthy_s + view.clearly * (wanted_s - healthy_s), wanted_s)

    return sees


def _slow(view: View, measure: Measure, threshold_s: Callable[[float], float], asked_s: float) -> Evidence | None:
    measured_s = measure(view.look, view.document)
    healthy_s = (measure(view.healthy, view.document) if view.healthy else None) or 0.0
    if measured_s is None or measured_s < threshold_s(healthy_s):
        return None
    return {"measured_s": measured_s, "asked_s": asked_s, "healthy_s": healthy_s}


def whole_time(look: Look, _document: Mapping[str, Any]) -> float | None:
    """Of the last answer, if it was a good one."""
    last = list(look.values())[-1]
    return last.took_s if last.good else None


def head_time(look: Look, _document: Mapping[str, Any]) -> float | None:
    """From the first byte of an answer to the end of its head, the slowest of all."""
    times = [one.head_s - one.first_byte_s for one in look.values() if one.head_s is not None and one.first_byte_s is not None]
    return max(times, default=None)
