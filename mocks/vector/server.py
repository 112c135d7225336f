"""Serving one product, and beside it the admin API, in one process and on one event loop."""

import asyncio
import time
from dataclasses import replace

from mocks.common.journal import Journal
from mocks.common.settings import Settings
from mocks.faults.admin import Admin
from mocks.faults.door import Door
from mocks.faults.keeping import FaultsFile
from mocks.faults.table import FaultTable
from mocks.http.server import Server, run
from mocks.vector.call import Service
from mocks.vector.chroma.service import ChromaService
from mocks.vector.chroma.settings import ChromaSettings
from mocks.vector.faults import FAULTS
from mocks.vector.flow import Flow
from mocks.vector.ledger import Ledger
from mocks.vector.metrics import VectorMetrics
from mocks.vector.persistence import DirectoryArchive
from mocks.vector.plan import Product, VectorPlan
from mocks.vector.profile import LiveProfile, VectorProfile
from mocks.vector.qdrant.service import VERSION, QdrantService, QdrantSettings
from mocks.vector.store import Store

_GRACE_S = 5.0


async def serve(product: Product, profile: LiveProfile, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight. Raises OSError where a port or the directory cannot be had."""
    directory = profile.now.persist_dir
    store = Store(profile.now.limits, None if directory is None else DirectoryArchive(directory))
    try:
        await _serve(service_of(product, store, profile.now), store, profile, settings)
    finally:
        store.close()


def service_of(product: Product, store: Store, profile: VectorProfile) -> Service:
    """The interface of a product over a store, as the profile wants it."""
    if product == "qdrant":
        return QdrantService(store, QdrantSettings(profile.version or VERSION, profile.api_keys, profile.read_only_api_keys))
    default = ChromaSettings(api_keys=profile.api_keys, allow_reset=profile.allow_reset)
    return ChromaService(store, default if profile.version is None else replace(default, version=profile.version))


async def _serve(service: Service, store: Store, profile: LiveProfile, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    ledger = Ledger(
        VectorMetrics(store, settings.service, settings.version),
        Journal(),
        settings.service,
        settings.instance,
        log_requests=settings.log_requests,
    )
    faults: FaultTable[VectorPlan] = FaultTable(FAULTS, time.monotonic, profile.now.seed)
    if settings.faults_file is not None:
        FaultsFile(settings.faults_file, faults)
    server = Server(Flow(service, profile, faults, ledger, loop.call_later).handle)
    await server.start(settings.host, settings.port)
    servers = [server]
    if settings.admin_port is not None:
        admin = Server(Admin(settings.admin_token, faults, ledger.journal, ledger.open_rows, profile))
        await admin.start(settings.host, settings.admin_port)
        servers.append(admin)
    Door(faults, loop.call_at, server.refuse, server.accept)
    await run(servers, _GRACE_S)
