"""What may be chosen about an embedded reference stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.scenario.model import VectorStoreName

DEFAULT_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class ProviderTiming:
    """How fast a mock provider answers: to the first token, and between two."""

    ttft_ms: float
    itl_ms: float


VOLUME_BYTES = 768 << 20
"""Of a small file system: of memory, as far as it is used; a fresh database has about 60 MB."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """One stack. `work_dir` is made by `start` and removed by `stop`; logs stay, in `logs_dir`, which must exist.

    `proxied_edges` are (caller, callee) pairs of `StackInfo.proxyable` that get a proxy in between. `volumes` are
    engines whose data lie on a small file system of their own, where the driver can make one. `tls`: users come in over it.
    `timing` is by provider, `environment` by service: what its instances are told besides. `side` tells a second stack of a run apart.
    `api_key`: the load's, where it must be that of another stack, as behind one router; None: a fresh one.
    """

    run_id: str
    work_dir: Path
    logs_dir: Path
    seed: int = 1
    side: str = ""
    replicas: Mapping[str, int] = field(default_factory=dict)
    documents: int = 400
    corpus: Path | None = None
    vector_store: VectorStoreName = "pgvector"
    tls: bool = False
    proxied_edges: frozenset[tuple[str, str]] = frozenset()
    volumes: frozenset[str] = frozenset()
    version: str = DEFAULT_VERSION
    api_key: str | None = field(default=None, repr=False)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    timing: Mapping[str, ProviderTiming] = field(
        default_factory=lambda: {"llm": ProviderTiming(100.0, 6.0), "llm_fallback": ProviderTiming(130.0, 6.0)}
    )
