"""Serving the provider, and beside it the admin API, in one process and on one event loop."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mocks.common.checks import ProfileError
from mocks.common.journal import Journal
from mocks.common.settings import Settings
from mocks.faults.admin import Admin
from mocks.faults.door import Door
from mocks.faults.keeping import FaultsFile
from mocks.faults.table import FaultTable
from mocks.http.server import Server, run
from mocks.llm.engine import Engine
from mocks.llm.exposition import Metrics
from mocks.llm.faults import FAULTS
from mocks.llm.ledger import Ledger
from mocks.llm.plan import Plan
from mocks.llm.profile import Profile
from mocks.llm.provider import Provider

_GRACE_S = 5.0


class _Profiles:
    """What the admin API may change of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def shown(self) -> Mapping[str, Any]:
        """As JSON, without keys."""
        return self._engine.profile.shown()

    def change(self, document: Mapping[str, Any]) -> None:
        """Raises ProfileError."""
        self._engine.change(self._engine.profile.changed(document))


async def serve(profile: Profile, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight. Raises OSError where a port cannot be had, and ProfileError."""
    metrics = Metrics(settings.service, settings.version)
    journal = Journal(profile.journal_rows, profile.journal_bytes)
    ledger = Ledger(metrics, journal, settings.service, settings.instance, log_requests=settings.log_requests)
    faults: FaultTable[Plan] = FaultTable(FAULTS, time.monotonic, profile.seed)
    if settings.faults_file is not None:
        try:
            FaultsFile(settings.faults_file, faults)
        except ValueError as error:
            raise ProfileError(f"FAULTS_FILE: {error}") from error
    engine = Engine(profile, faults, ledger)
    server = Server(Provider(engine))
    servers = [server]
    await server.start(settings.host, settings.port)
    Door(faults, asyncio.get_running_loop().call_at, server.refuse, server.accept)
    if settings.admin_port is not None:
        admin = Server(Admin(settings.admin_token, faults, journal, ledger.open_rows, _Profiles(engine)))
        servers.append(admin)
        await admin.start(settings.host, settings.admin_port)
    await run(servers, _GRACE_S)
