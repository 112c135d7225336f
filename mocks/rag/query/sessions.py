"""Follow-up questions: what "it" means is in the turn before.

Kept in this process only: a session lost with a restart costs a less precise search, not an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mocks.rag.common.lru import LruCache
from mocks.rag.common.registry import Registry

SESSIONS_MAX = 2_000
SESSION_TTL_S = 1_800.0
TURNS_KEPT = 3

_BACK_REFERENCE = re.compile(r"\b(it|its|they|them|their|this|that|these|those|he|she|same|former|latter|one)\b", re.IGNORECASE)
_CONNECTIVE = re.compile(r"^\s*(and|but|or|so|also|then|why|how so|what about|how about)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Session:
    """The last questions of a session as they were asked, oldest first."""

    questions: tuple[str, ...] = ()


class Sessions:
    """Bounded in number, turns and time."""

    def __init__(self, registry: Registry) -> None:
        self._sessions: LruCache[str, Session] = LruCache("sessions", max_entries=SESSIONS_MAX, ttl_s=SESSION_TTL_S, registry=registry)

    def resolve(self, session_id: str | None, question: str) -> str:
        """The question as it can be understood alone: a follow-up gets the last question in front. Remembers the turn."""
        if session_id is None:
            return question
        session = self._sessions.get(session_id) or Session()
        self._sessions.put(session_id, Session((*session.questions, question)[-TURNS_KEPT:]))
        return f"{_subject(session)} {question}" if session.questions and is_follow_up(question) else question


def is_follow_up(question: str) -> bool:
    """Whether the question leans on an earlier one: it begins with a connective or refers back."""
    return bool(_CONNECTIVE.search(question) or _BACK_REFERENCE.search(question))


def _subject(session: Session) -> str:
    """The last question that stood on its own: "it" of a third turn is still what the first one named."""
    return next((earlier for earlier in reversed(session.questions) if not is_follow_up(earlier)), session.questions[-1])
