"""A process that keeps a stack until it is told to end: under a lease, so that nothing outlives it when it is killed."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from harness.faults.lease import Lease
from harness.record.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Supervision:
    """Whose stack that is, and where; `ended` is set by SIGTERM and SIGINT."""

    run_id: str
    work_dir: Path
    ended: threading.Event
    lease: Lease


@contextmanager
def supervision() -> Iterator[Supervision]:
    """For the main thread of such a process. The lease is released with the block, which has to stop the stack."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    run_id = token_hex(6)
    work_dir = Path(tempfile.gettempdir()) / f"gauntlet-{run_id}"
    lease = Lease.take(run_id, work_dir, None, SystemClock())
    try:
        yield Supervision(run_id, work_dir, ended, lease)
    finally:
        lease.release()
