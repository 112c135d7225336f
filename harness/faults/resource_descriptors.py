"""An instance that has no file descriptors left: it works for those who are connected, and takes nobody in."""

from __future__ import annotations

import resource as limits
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from harness.faults import roundtrip
from harness.faults.base import Context, Evidence, FaultError, Target
from harness.faults.process import InstanceFault, NoParameters
from harness.faults.undo import process_tree
from harness.scenario.catalog import FaultSpec
from harness.sweep import Found, identify, same_process

TIMEOUT_S = 0.7

Limit = tuple[int, int]
"""Soft, hard."""


class Descriptors(InstanceFault[NoParameters]):
    """The limit of its processes is lowered to the first descriptor that is free: no file and no connection can be opened any more."""

    spec = FaultSpec(
        name="resource.descriptors",
        summary="Leaves one instance no free file descriptor: it can open no file and accept no connection; open ones go on.",
        kind="descriptors",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Placed",),
        evidence="a new connection to the instance gets no answer while its process lives, with no descriptor free; gone: it gets one",
        example="{id: no-descriptors, type: resource.descriptors, target: retrieval-1, at: fault, for: 30s}",
        recoverable_by=("restart", "scale", "failover"),
    )

    def __init__(self, target: Target, parameters: NoParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._before: Mapping[Found, Limit] = {}

    def inject(self) -> None:
        if any(same_process(found) is not None for found in self._before):
            return
        before: dict[Found, Limit] = {}
        self._before = before  # filled while it is carried out: what fails half-way is healed
        try:
            for process in process_tree(self.place().pid):
                found = identify(process.pid)
                if found is not None:
                    soft, hard = process.rlimit(limits.RLIMIT_NOFILE)
                    before[found] = (soft, hard)
                    process.rlimit(limits.RLIMIT_NOFILE, (first_free(process.pid), hard))
        except (psutil.Error, OSError) as error:
            raise FaultError(f"limiting the descriptors of {self.name}: {error}") from error

    def verify(self) -> Evidence | None:
        pid = self.place().pid
        free = self._free(pid)
        refused = self._refused() if free == 0 else None
        return None if refused is None else {"instance": self.name, "pid": pid, "free": free, "new_connection": refused}

    def heal(self) -> None:
        before, self._before = self._before, {}
        if not before:
            return
        usual = next(iter(before.values()))
        current = self.instance().pid
        young = [identify(process.pid) for process in process_tree(current)] if current is not None else []
        for found in {*before, *(found for found in young if found is not None)}:  # a child has inherited the limit
            process = same_process(found)
            with suppress(psutil.NoSuchProcess):
                if process is not None and (found in before or process.rlimit(limits.RLIMIT_NOFILE)[0] < usual[0]):
                    process.rlimit(limits.RLIMIT_NOFILE, before.get(found, usual))

    def gone(self) -> Evidence | None:
        ready = self.ready()
        free = self._free(self.place().pid) if ready is not None else 0
        return None if ready is None or free == 0 or self._refused() is not None else {**ready, "free": free}

    def _refused(self) -> str | None:
        """Why a new connection is of no use; None where it gets an answer."""
        try:
            roundtrip.once(roundtrip.of_url(self.instance().url), self.context.clock, TIMEOUT_S)
        except roundtrip.RoundTripError as error:
            return str(error)
        return None

    def _free(self, pid: int) -> int:
        """Descriptors that a process may still open, at least. Raises FaultError."""
        try:
            return max(0, psutil.Process(pid).rlimit(limits.RLIMIT_NOFILE)[0] - first_free(pid))
        except (psutil.Error, OSError) as error:
            raise FaultError(f"the descriptors of {self.name}: {error}") from error


def first_free(pid: int) -> int:
    """The number that a process's next descriptor would get. Raises OSError."""
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)


FAULTS = (Descriptors,)
