"""What faults share that are objects of Chaos Mesh: made, believed where something else agrees, deleted, gone with the finalizer."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.faults import inside
from harness.faults.base import Context, Evidence, FaultError, Parameters, Target, TargetedFault, Undo, act, capability
from harness.faults.names import fresh_name
from harness.faults.process import InstanceFault
from harness.stack.base import Mesh, Meshed, StackError

INSIDE = Path(inside.__file__)
INJECTED, SELECTED = "AllInjected", "Selected"
LOOK_TIMEOUT_S = 30.0
LOOKS_BEFORE = 5
LOOK_AGAIN_S = 0.3
Answer = TypeVar("Answer")


class MeshFault(TargetedFault[Parameters]):
    """A subclass of it says how it is proved; a row of the table, which object it is (`kind`, `wanted`)."""

    kind: str
    wanted: Callable[[Any], Mapping[str, Any]]
    """From the parameters: the part of the object's `spec` that says what is done."""
    lasts = True
    """Whether it can be told to end by itself."""
    _found: Mapping[str, Any] | None = None
    """What a look has found before it was injected."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.object_name = fresh_name(context)

    # --- how it is proved

    @abstractmethod
    def look(self) -> Mapping[str, Any]:
        """What can be seen from outside of Chaos Mesh, in the same way before, during and afterwards. Raises FaultError."""

    @abstractmethod
    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether it shows."""

    @abstractmethod
    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether it does not show (any more). `before` is `now` where it was never injected."""

    @abstractmethod
    def selector(self) -> Mapping[str, Any]:
        """Which pods it goes to. Raises FaultError."""

    def rest(self) -> Mapping[str, Any]:
        """More of the object's `spec`, which only the running stack knows. Raises FaultError."""
        return {}

    # --- the verbs

    def undo(self) -> Sequence[Undo]:
        return (Undo("kubernetes", self.mesh().undo(self.kind, self.object_name)),)

    def inject(self) -> None:
        if self._at(lambda: self.mesh().find(self.kind, self.object_name)) is not None:
            return  # by our hand already
        self._found = self._before()
        ends = {"duration": f"{round(self.context.ttl_s)}s"} if self.lasts else {}
        spec = {"mode": "all", "selector": self.selector(), **ends, **type(self).wanted(self.parameters), **self.rest()}
        self._at(lambda: self.mesh().place(self.kind, self.object_name, spec))

    def verify(self) -> Evidence | None:
        status = self._status()
        holds = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
        pods = [record["id"] for record in self._records(status)]
        if not pods or not {INJECTED, SELECTED} <= holds:
            raise FaultError(f"{self.kind}: {_why_not(status)}")
        before, now = self._found, self.look()
        if before is None or not self.bites(before, now):
            return None
        return {"object": f"{self.kind}/{self.object_name}", "pods": ", ".join(pods), **_flat("before", before), **_flat("now", now)}

    def heal(self) -> None:
        act(f"lifting the {self.kind} of {self.target.text}", lambda: self.mesh().lift(self.kind, self.object_name))

    def gone(self) -> Evidence | None:
        if self._at(lambda: self.mesh().find(self.kind, self.object_name)) is not None:
            return None  # its finalizer says that something is not taken back
        now = self.look()
        return {"object": "gone", **_flat("now", now)} if self.whole(self._found or now, now) else None

    # --- their parts

    def mesh(self) -> Mesh:
        """Raises FaultError."""
        return self._at(lambda: capability(self.context.stack, Meshed).mesh())

    def inside(self, instance: str, mode: str, asked: Mapping[str, Any]) -> Any:
        """What a program in the instance's pod finds. Raises FaultError."""
        argv = ("python3", "-c", INSIDE.read_text(encoding="utf-8"), mode, json.dumps(dict(asked)))
        printed = self._at(lambda: self.mesh().run(instance, argv, LOOK_TIMEOUT_S))
        try:
            return json.loads(printed)
        except ValueError as error:
            raise FaultError(f"looking from inside of {instance}: {printed.strip()[-200:]}") from error

    def _before(self) -> Mapping[str, Any]:
        """What is seen without the fault. Raises FaultError where that is as with it, or nothing could be told afterwards."""
        self._found = None
        now = self.look()
        for _ in range(LOOKS_BEFORE - 1):
            if self.whole(now, now):
                return now
            self.context.clock.sleep(LOOK_AGAIN_S)
            now = self.look()
        if not self.whole(now, now):
            raise FaultError(f"{self.target.text} is not as it should be before anything is done to it: {dict(now)}")
        return now

    def _status(self) -> Mapping[str, Any]:
        found = self._at(lambda: self.mesh().find(self.kind, self.object_name))
        if found is None:
            raise FaultError(f"the {self.kind} {self.object_name} is gone: somebody else deleted it")
        return found.get("status") or {}

    def _records(self, status: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Of the pods that Chaos Mesh has chosen. Raises FaultError where those are others than were meant."""
        records = [one for one in (status.get("experiment") or {}).get("containerRecords") or () if one.get("selectorKey") == "."]
        meant = self.meant()
        for record in records:
            pod = record["id"].split("/")[1]
            if meant is not None and pod not in meant:
                raise FaultError(f"{self.kind} goes to the pod {pod}, which was not meant: {', '.join(sorted(meant))}")
        return records

    def meant(self) -> frozenset[str] | None:
        """Names of the only pods that it may go to; None: all of the selector."""
        return None

    def _at(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except StackError as error:
            raise FaultError(str(error)) from error


class MeshInstanceFault(MeshFault[Parameters], InstanceFault[Parameters]):
    """One at the pod that is one instance when it is injected."""

    _pod: tuple[str, str] | None = None
    """Name and uid."""

    def selector(self) -> Mapping[str, Any]:
        self._pod = self._at(lambda: self.mesh().pod(self.name))
        return self._at(lambda: self.mesh().selector(self.target.service, self.name))

    def meant(self) -> frozenset[str] | None:
        return frozenset({self._pod[0]}) if self._pod is not None else None


class MeshEdgeFault(MeshFault[Parameters]):
    """One between the pods of two services, seen from where the caller is."""

    @property
    def edge(self) -> tuple[str, str]:
        if self.target.edge is None:
            raise FaultError(f"{self.target.text} is no edge; write caller->callee")
        return self.target.edge

    def selector(self) -> Mapping[str, Any]:
        return self._at(lambda: self.mesh().selector(self.edge[0]))

    def caller(self) -> str:
        """An instance of the caller whose pod is there. Raises FaultError."""
        for instance in self.context.stack.instances(self.edge[0]):
            try:
                self.mesh().pod(instance.name)
            except StackError:
                continue
            return instance.name
        raise FaultError(f"{self.edge[0]} has no pod at the moment")


def _why_not(status: Mapping[str, Any]) -> str:
    """What the object says of itself, while it does not act."""
    records = (status.get("experiment") or {}).get("containerRecords") or ()
    said = [event["message"] for record in records for event in record.get("events") or () if event.get("type") == "Failed"]
    if said:
        return f"not injected: {said[-1]}"
    return "not injected yet" if records else "no pod is selected yet"


def _flat(when: str, seen: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_{when}": value for name, value in seen.items()}
