"""An instance that has no file descriptors left: it works for those who are connected, and takes nobody in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.faults import roundtrip
from harness.faults.base import Context, Evidence, FaultError, Target
from harness.faults.process import InstanceFault, NoParameters
from harness.faults.resource import elsewhere
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
                    before[found] = limit_of(process.pid)
                    set_limit(process.pid, (first_free(process.pid), before[found][1]))
        except OSError as error:
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
            with suppress(OSError):  # it has ended meanwhile
                if same_process(found) is not None and (found in before or limit_of(found.pid)[0] < usual[0]):
                    set_limit(found.pid, before.get(found, usual))

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
            return max(0, limit_of(pid)[0] - first_free(pid))
        except OSError as error:
            raise FaultError(f"the descriptors of {self.name}: {error}") from error


def first_free(pid: int) -> int:
    """The number that a process's next descriptor would get. Raises OSError."""
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)


def limit_of(pid: int) -> Limit:
    """How many descriptors a process may have. Raises OSError."""
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    soft, hard = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    return int(soft), int(hard)


def set_limit(pid: int, limit: Limit) -> None:
    """In a process of its own, which becomes one of that process's user: root may lack the right over others. Raises FaultError."""
    elsewhere("descriptors", with_pid=pid, soft=limit[0], hard=limit[1])


FAULTS = (Descriptors,)
