"""How faults of single pods are proved: replaced, not ready, short of processors, memory or room, at another time."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from harness.faults.base import FaultError, Parameters
from harness.faults.clock import DATE_GRAIN_S, OffsetParameters
from harness.faults.http_look import LookError, ask
from harness.faults.mesh.fault import MeshInstanceFault
from harness.faults.resource_memory import PressureParameters
from harness.record.clock import utc_now

MB = 1_000_000
OVER_S = 0.5
BUSY, IDLE = 0.8, 0.6  # of the processors that it may use
SLACK_MB = 24
"""Of memory that comes and goes with the work of the instance."""
WRITTEN_BYTES = 64 * 1024


class Replaced(MeshInstanceFault[Parameters]):
    """Its pod ends, and another takes its place: by its uid, of which the API server never gives one away twice."""

    lasts = False

    def look(self) -> Mapping[str, Any]:
        pods = self._at(lambda: self.mesh().pods(self.target.service))
        return {"uids": " ".join(sorted(pods))}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002 - it is known by itself
        return self._pod is not None and self._pod[1] not in now["uids"].split()

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return self.ready() is not None

    def heal(self) -> None:
        """Whoever owns the pod has made another one long since, or somebody must."""
        super().heal()
        self.restart_unless_ready()


class Unready(MeshInstanceFault[Parameters]):
    """Its pod stays, and nothing in it answers."""

    def look(self) -> Mapping[str, Any]:
        return {"probe": self.context.stack.probe(self.instance())}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(before["probe"] is None and now["probe"] is not None)

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(now["probe"] is None)

    def heal(self) -> None:
        super().heal()
        self.restart_unless_ready()


class Busy(MeshInstanceFault[Parameters]):
    """Its control group uses all the processors that it may."""

    def look(self) -> Mapping[str, Any]:
        found = self.inside(self.name, "usage", {"over_s": OVER_S})
        if found["cpu_limit"] is None:
            raise FaultError(f"{self.name} may use any number of processors: nothing would be short")
        return {"cpus": round(found["cpus"], 3), "cpu_limit": found["cpu_limit"]}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["cpus"] >= BUSY * now["cpu_limit"] > before["cpus"])

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["cpus"] <= max(IDLE * now["cpu_limit"], before["cpus"]))


class Tight(MeshInstanceFault[PressureParameters]):
    """Its control group holds all the memory that it may, but a little."""

    def look(self) -> Mapping[str, Any]:
        found = self.inside(self.name, "usage", {"over_s": 0.01})
        if not found["memory_limit_bytes"] or not found["memory_bytes"]:
            raise FaultError(f"{self.name} has no limit of memory, or none that can be read")
        return {"left_mb": round((found["memory_limit_bytes"] - found["memory_bytes"]) / MB, 1)}

    def rest(self) -> Mapping[str, Any]:
        """As much as leaves what is to be left."""
        assert self._found is not None, "looked before it was injected"
        size = round(self._found["left_mb"] - self.parameters.left_mb)
        if size <= SLACK_MB:
            raise FaultError(f"{self.name} has only {self._found['left_mb']} MB left: there is nothing to take from it")
        return {"stressors": {"memory": {"workers": 1, "size": f"{size}MB"}}}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["left_mb"] <= self.parameters.left_mb + SLACK_MB < before["left_mb"])

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["left_mb"] >= before["left_mb"] - SLACK_MB)


class NoRoom(MeshInstanceFault[Parameters]):
    """A file cannot be written where its data are."""

    def look(self) -> Mapping[str, Any]:
        path = f"{self._folder()}/{self.object_name}"
        return {"errno": self.inside(self.name, "write", {"path": path, "bytes": WRITTEN_BYTES})["errno"]}

    def rest(self) -> Mapping[str, Any]:
        return {"volumePath": self._folder()}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(before["errno"] is None and now["errno"] == "ENOSPC")

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(now["errno"] is None and self.ready() is not None)

    def heal(self) -> None:
        super().heal()
        self.restart_unless_ready()  # a server that cannot write its log may have given up

    def _folder(self) -> str:
        return self._at(lambda: self.mesh().data_folder(self.target.service))


class Untimely(MeshInstanceFault[OffsetParameters]):
    """Its answers are dated otherwise (RFC 9110, 6.6.1)."""

    def look(self) -> Mapping[str, Any]:
        try:
            date = ask(f"{self.instance().url}/health", self.context.clock).headers.get("date")
        except LookError as error:
            raise FaultError(str(error)) from error
        if date is None:
            raise FaultError(f"answers of {self.name} have no date")
        return {"ahead_s": round((parsedate_to_datetime(date) - utc_now()).total_seconds(), 1)}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(abs(now["ahead_s"] - self.parameters.offset) <= DATE_GRAIN_S)

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(abs(now["ahead_s"]) <= DATE_GRAIN_S)
