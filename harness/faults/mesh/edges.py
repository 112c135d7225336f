"""How faults between two services are proved: by questions that the caller's pod asks, and names that it looks up."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from harness.faults.base import FaultError, Parameters
from harness.faults.mesh.fault import MeshEdgeFault
from harness.faults.network import CLEARLY, HARDLY, LatencyParameters
from harness.faults.roundtrip import of_url

TRIPS = 3
TRIPS_LOST = 60
"""So many that hardly ever none of them is hit, at the least rate of loss that may be asked for."""
TRIPS_AFTERWARDS = 12
LATE_S = 0.15
"""More than any answer takes here, and less than TCP waits before it sends again (0.2 s, RFC 6298 as Linux has it)."""
PATIENCE_S = 2.0


class _Trips(MeshEdgeFault[Parameters]):
    """Looks that ask the callee something in its own protocol, from the caller's pod."""

    def trips(self, count: int, until_s: float, patience_s: float) -> list[Mapping[str, Any]]:
        """Raises FaultError."""
        host, port = self.mesh().inside(self.edge[1])
        question = of_url(self.context.stack.instances(self.edge[1])[0].url).ask.hex()
        asked = {"host": host, "port": port, "ask": question, "count": count, "until_s": until_s, "patience_s": patience_s}
        found: list[Mapping[str, Any]] = self.inside(self.caller(), "trips", asked)
        return found

    def rest(self) -> Mapping[str, Any]:
        return {"target": {"mode": "all", "selector": self.mesh().selector(self.edge[1])}}


class Late(_Trips[LatencyParameters]):
    """Answers take longer."""

    def look(self) -> Mapping[str, Any]:
        wanted_s = self.parameters.delay
        trips = self.trips(TRIPS if wanted_s <= 1.0 else 1, 10 * wanted_s + PATIENCE_S, 4 * wanted_s + PATIENCE_S)
        taken = [trip["s"] for trip in trips if "s" in trip]
        if not taken:
            raise FaultError(f"no answer on {self.target.text}: {trips[-1].get('end')}")
        return {"answer_s": round(median(taken), 4)}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["answer_s"] - before["answer_s"] >= CLEARLY * (self.parameters.delay - self.parameters.jitter) * self._delays)

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["answer_s"] - before["answer_s"] <= HARDLY * self.parameters.delay)

    @property
    def _delays(self) -> int:
        """In one round trip."""
        return 2 if self.parameters.direction == "both" else 1


class Lossy(_Trips[Parameters]):
    """Some answers come only after something was sent again."""

    def look(self) -> Mapping[str, Any]:
        trips = self.trips(TRIPS_LOST if self._found is not None else TRIPS_AFTERWARDS, LATE_S, PATIENCE_S)
        return {"slowest_s": round(max(trip.get("s", PATIENCE_S) for trip in trips), 4), "conversations": len(trips)}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(now["slowest_s"] >= LATE_S > before["slowest_s"])

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002 - it is known by itself
        return bool(now["slowest_s"] < LATE_S)


class CutOff(_Trips[Parameters]):
    """Nothing is answered."""

    def look(self) -> Mapping[str, Any]:
        (trip,) = self.trips(1, PATIENCE_S, PATIENCE_S)
        return {"end": trip.get("end", "answered")}

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(before["end"] == "answered" and now["end"] != "answered")

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(now["end"] == "answered")


class _Names(MeshEdgeFault[Parameters]):
    """Looks that look the callee's name up, from the caller's pod."""

    def look(self) -> Mapping[str, Any]:
        """`found` is what the name leads to: its pods (all of them its own), others, or nothing."""
        host, _ = self.mesh().inside(self.edge[1])
        answer = self.inside(self.caller(), "names", {"hosts": [host]})[host]
        if not isinstance(answer, list):
            return {"found": "nothing", "said": answer}
        own = set(self.mesh().addresses(self.edge[1]))
        return {"found": "its pods" if set(answer) <= own else "others", "said": ", ".join(answer)}

    def rest(self) -> Mapping[str, Any]:
        host, _ = self.mesh().inside(self.edge[1])
        return {"patterns": [f"{host.removesuffix('.svc.cluster.local')}.*"]}  # a wildcard is allowed at the end alone

    def whole(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return bool(now["found"] == "its pods")


class Nameless(_Names[Parameters]):
    """The name leads nowhere."""

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(before["found"] == "its pods" and now["found"] == "nothing")


class Misled(_Names[Parameters]):
    """The name leads to somebody else, or to nobody."""

    def bites(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return bool(before["found"] == "its pods" and now["found"] == "others")
