"""The mocks of a session: one process a kind, seen by one test at a time."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.testing.proof import InconclusiveError

if TYPE_CHECKING:
    from harness.lifecycle.mock_server import MockServer
    from harness.record.provider import Exchange
    from harness.stack.base import AdminApi

KEYS = {"llm": ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")}
"""Credentials of clients, which want one even where any will do, and whose real one is nobody's business here."""
PROFILES = {"llm": Path(__file__).with_name("llm-profile.json")}
"""Unless one is given: any model is served, and fast."""
_LOG_LINES = 50
_TRIES = 3


class Mock:
    """`gauntlet mock KIND` on a free port. It ends with the session, and with this process however that ends."""

    def __init__(self, kind: str, seed: int | None = None, profile: Path | None = None) -> None:
        self.kind = kind
        self._profile = profile or PROFILES.get(kind)
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._seed = seed
        self._server: MockServer | None = None

    @property
    def url(self) -> str:
        """Without a path."""
        return self._running.url

    @property
    def base_url(self) -> str:
        """What a client of this kind wants to be told: with `/v1` for OpenAI's."""
        return next(iter(self._addresses.values()))

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that the clients of this kind read: OPENAI_BASE_URL and so on."""
        return {**self._addresses, **dict.fromkeys(KEYS.get(self.kind, ()), "gauntlet")}

    @property
    def admin(self) -> AdminApi:
        return self._running.admin

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """What was asked since the test began, the oldest first, requests that are still being answered included.

        Raises InconclusiveError where it is not all there any more.
        """
        from harness.lifecycle.provider_journal import ProviderJournalError, live_journal
        from harness.record.provider import OWN_USER_AGENT

        try:
            journal = live_journal(self.admin.url, self.admin.token)
        except ProviderJournalError as error:
            raise InconclusiveError(f"the mock {self.kind}: {error}; its log ends with: {self.last_words}") from error
        if journal.missing:
            raise InconclusiveError(f"the mock {self.kind} does not know all requests any more: {'; '.join(journal.missing)}")
        return tuple(row for row in journal.rows if row.user_agent != OWN_USER_AGENT)

    @property
    def last_words(self) -> str:
        return " | ".join(list(self.log)[-3:]) or "nothing"

    def start(self) -> None:
        """Start it, unless it runs. Raises MockStartError, or MockUsageError where a package is missing."""
        from harness.lifecycle.mock_address import MockStartError

        for left in reversed(range(_TRIES)):
            if self._server is not None:
                return
            try:
                self._server = self._started()
            except MockStartError:  # somebody else was quicker on a port that was free
                if not left:
                    raise

    def forget(self) -> None:
        """As if nothing had been asked, and nothing broken."""
        self.call("DELETE", "/admin/faults")
        self.call("DELETE", "/admin/journal")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Its admin API (docs/mock-llm.md). Raises InconclusiveError."""
        from harness.faults.admin_client import call
        from harness.faults.base import FaultError

        try:
            return call(self.admin, method, path, body)
        except (FaultError, OSError) as error:
            raise InconclusiveError(f"the mock {self.kind}: {error}; its log ends with: {self.last_words}") from error

    def stop(self) -> None:
        """Idempotent."""
        if self._server is not None:
            self._server.stop()

    def _started(self) -> MockServer:
        from harness.lifecycle.mock_server import Asked, MockServer

        server = MockServer(Asked(self.kind, port=0, token=secrets.token_urlsafe(24), profile=self._profile, seed=self._seed, quiet=True))
        try:
            server.start(self.log.append)
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def _addresses(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._running.describe()["env"]
        return found

    @property
    def _running(self) -> MockServer:
        self.start()
        assert self._server is not None, "it has just been started"
        return self._server
