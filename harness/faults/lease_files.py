"""The files of a lease: what must be taken back, and who would do it if the harness could not, on disk before anything is broken.

`<work_dir>/lease/lease.json` says whose run it is; `undo.jsonl` holds the undo entries of each fault, appended before it is injected, and a
tombstone after it is proved gone; `watchdog.json` says who watches. All of it is readable after `kill -9` at any moment.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from harness.faults.base import Undo
from harness.sweep import Found, identify, same_process

PREFIX = "gauntlet-"
UNFINISHED_PREFIX = ".gauntlet-"


class LeaseError(RuntimeError):
    """The work directory exists already, or holds no lease."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose run this is."""

    run_id: str
    pid: int
    create_time_s: float
    work_dir: Path
    run_dir: Path | None  # None: there is no record to write to

    @property
    def alive(self) -> bool:
        """Whether the harness of this run still lives."""
        return same_process(Found(self.pid, self.create_time_s, "")) is not None


class LeaseFiles:
    """Written by the harness. Safe to use from several threads."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self._lock = threading.Lock()
        self._fd = os.open(undo_file(holder.work_dir), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @classmethod
    def create(cls, run_id: str, work_dir: Path, run_dir: Path | None) -> Self:
        """Make `work_dir`, which must be called `gauntlet-<run id>`, with its lease inside, in one step: no crash leaves a directory
        whose owner is unknown. Others may pass through it (a database may have to run as another user) but not list it, and not enter
        `lease`. Raises LeaseError.
        """
        if work_dir.name != f"{PREFIX}{run_id}" or work_dir.exists():
            raise LeaseError(f"{work_dir} must be called {PREFIX}{run_id} and not exist yet")
        me = identify(os.getpid())
        assert me is not None, "this process is alive"
        holder = Holder(run_id, me.pid, me.create_time_s, work_dir.resolve(), run_dir.resolve() if run_dir else None)
        unfinished = work_dir.with_name(f"{UNFINISHED_PREFIX}{run_id}.{me.pid}")
        unfinished.mkdir(mode=0o700)
        unfinished.chmod(0o711)  # whatever the umask
        (unfinished / "lease").mkdir(mode=0o700)
        document = {**asdict(holder), "work_dir": str(holder.work_dir), "run_dir": str(holder.run_dir) if holder.run_dir else None}
        (unfinished / "lease" / "lease.json").write_text(json.dumps(document), encoding="utf-8")
        unfinished.rename(holder.work_dir)
        return cls(holder)

    def hold(self, fault_id: str, undo: Sequence[Undo]) -> None:
        """Note, before a fault is injected, how it is taken back."""
        self._append({"hold": fault_id, "undo": [asdict(entry) for entry in undo]})

    def let_go(self, fault_id: str) -> None:
        """Note, after a fault is proved gone, that nothing of it has to be taken back."""
        self._append({"let_go": fault_id})

    def close(self) -> None:
        """Idempotent; leaves the files."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _append(self, document: dict[str, Any]) -> None:
        with self._lock:
            if self._fd < 0:
                raise LeaseError("the lease is closed")
            os.write(self._fd, json.dumps(document).encode() + b"\n")


def undo_file(work_dir: Path) -> Path:
    """Where the undo entries lie."""
    return work_dir / "lease" / "undo.jsonl"


def read_holder(work_dir: Path) -> Holder | None:
    """Whose directory that is; None when it holds no lease."""
    try:
        document = json.loads((work_dir / "lease" / "lease.json").read_text(encoding="utf-8"))
        return Holder(
            run_id=str(document["run_id"]),
            pid=int(document["pid"]),
            create_time_s=float(document["create_time_s"]),
            work_dir=Path(document["work_dir"]),
            run_dir=Path(document["run_dir"]) if document["run_dir"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def outstanding(work_dir: Path) -> dict[str, tuple[Undo, ...]]:
    """Undo entries by fault, of the faults that are not proved gone, in the order of their injection. A torn last line is no entry."""
    held: dict[str, tuple[Undo, ...]] = {}
    try:
        lines = undo_file(work_dir).read_bytes().splitlines()
    except OSError:
        return held
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if "hold" in document:
            held.pop(document["hold"], None)  # injected again: its place is its latest injection's
            held[document["hold"]] = tuple(Undo(entry["op"], entry["args"]) for entry in document["undo"])
        else:
            held.pop(document.get("let_go"), None)
    return held


def write_watchdog(work_dir: Path, watchdog: Found) -> None:
    """Note who watches."""
    path = work_dir / "lease" / "watchdog.json"
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"pid": watchdog.pid, "create_time_s": watchdog.create_time_s}), encoding="utf-8")
    unfinished.rename(path)


def watchdog_of(work_dir: Path) -> Found | None:
    """The live watchdog of that directory; None when there is none, or it is dead."""
    try:
        document = json.loads((work_dir / "lease" / "watchdog.json").read_text(encoding="utf-8"))
        found = Found(int(document["pid"]), float(document["create_time_s"]), "watchdog")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same_process(found) is not None else None
