"""Documents that the load adds, and the check at the end that every accepted one was indexed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from harness.load.http import BrokenBodyError, Exchange, Request, RequestTimeoutError, Transport, UnreachableError
from harness.record.clock import NS_PER_S, Clock

_WORDS = 60
_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta", "ve", "wi", "xo", "yu")
_MISSING_NAMED = 20
_PAUSE_S = 0.25


def document_for(seq: int, intended_ns: int) -> dict[str, str]:
    """A document that no other arrival sends, in made-up words, so that it answers no question of the corpus."""
    name = f"note-{intended_ns:x}-{seq}"
    rng = random.Random(name)
    words = ("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(_WORDS))
    return {"doc_id": name, "title": f"Note {name}", "text": f"{name} {' '.join(words)}."}


@dataclass(slots=True)
class IngestLog:
    """Ids that the service accepted: some hundred bytes each."""

    ids: list[str] = field(default_factory=list)

    def accepted(self, doc_id: str) -> None:
        self.ids.append(doc_id)


@dataclass(frozen=True, slots=True)
class IngestCheck:
    """`missing` were accepted and are not indexed; `unanswered` of them could not be asked for."""

    accepted: int = 0
    indexed: int = 0
    unanswered: int = 0
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The fields of the load's last event; at most 20 ids are named."""
        return {
            "ingest_accepted": self.accepted,
            "ingest_indexed": self.indexed,
            "ingest_unanswered": self.unanswered,
            "ingest_missing": list(self.missing[:_MISSING_NAMED]),
        }


class IngestChecker:
    """Asks `GET /api/documents/{id}` for each id, round after round, until all are indexed."""

    def __init__(self, transport: Transport, base_url: str, api_key: str | None, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._transport = transport
        self._base_url = base_url
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._clock = clock
        self._sleep = sleep

    def check(self, ids: list[str], patience_s: Callable[[], float]) -> IngestCheck:
        """No round begins after `patience_s()`; one that has begun is finished, so that every id is asked for at least once.

        The patience is asked for again after each round: a stop shortens it.
        A RequestTimeoutError raised into it from outside ends it with what is known.
        """
        states: dict[str, str | None] = dict.fromkeys(ids)
        begun_ns = self._clock.now_ns()
        try:
            while self._round(states) and self._clock.now_ns() < begun_ns + int(patience_s() * NS_PER_S):
                self._sleep(_PAUSE_S)
        except RequestTimeoutError:
            pass  # those without an answer are counted as such
        missing = tuple(doc_id for doc_id, state in states.items() if state != "indexed")
        return IngestCheck(len(states), len(states) - len(missing), sum(states[m] is None for m in missing), missing)

    def _round(self, states: dict[str, str | None]) -> bool:
        """Ask for what is not indexed yet; True when something is still missing."""
        for doc_id, state in states.items():
            if state != "indexed":
                states[doc_id] = self._status(doc_id) or state
        return any(state != "indexed" for state in states.values())

    def _status(self, doc_id: str) -> str | None:
        """What the service says; None when it does not answer."""
        url = f"{self._base_url}/api/documents/{quote(doc_id, safe='')}"
        try:
            exchange = Exchange(Request.to("GET", url, self._headers))
            self._transport.perform(exchange)
            if exchange.status == 404:
                return "unknown"
            return str(json.loads(exchange.content)["status"]) if exchange.status == 200 else None
        except (UnreachableError, BrokenBodyError, ValueError, KeyError, TypeError):
            return None
