"""Keeps the faults in force in a file, so that they outlive a restart of the mock: restarting a provider's front does not heal it."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from mocks.faults.table import FaultError, FaultTable


class FaultsFile:
    """Follows a table from now on. What its faults have counted is not kept; how long they have been in force is.

    `wall` gives seconds since 1970: the only clock that goes on from one process to the next.
    """

    def __init__(self, path: Path, table: FaultTable[Any], wall: Callable[[], float] = time.time) -> None:
        """Put in force what the file says, without what has ended meanwhile. Raises OSError, and ValueError for a file that is none."""
        self._path = path
        self._table = table
        self._wall = wall
        self._restore()
        table.on_change(self._save)
        self._save()

    def _restore(self) -> None:
        try:
            kept = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return
        if not isinstance(kept, dict) or not isinstance(kept.get("faults"), list):
            raise ValueError(f"{self._path} does not hold faults")
        for one in kept["faults"]:
            try:
                self._put(one["id"], one["document"], one["put_s"])
            except (KeyError, TypeError, AttributeError, FaultError) as error:
                raise ValueError(f"{self._path} holds a fault that cannot be put in force: {error}") from error

    def _put(self, fault_id: str, document: Mapping[str, Any], put_s: float) -> None:
        age_s = max(0.0, self._wall() - put_s)
        ttl_s = document.get("ttl_s")
        if ttl_s is None or age_s < ttl_s:
            self._table.put(fault_id, document, age_s)

    def _save(self) -> None:
        """Write what is in force now, in the place of the old file at once: a reader sees the one or the other."""
        now_s = self._wall()
        faults = [{"id": fault_id, "document": document, "put_s": now_s - age_s} for fault_id, document, age_s in self._table.in_force()]
        written = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        written.write_bytes(orjson.dumps({"faults": faults}))
        written.replace(self._path)
