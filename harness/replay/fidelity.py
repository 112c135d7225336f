"""Does the replayed operator say what the live one said? The measure of the replay itself, where both are the same operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.record import events as ev
from harness.record.history import History
from harness.record.views import FaultTruth
from harness.score.detection import Episode, episodes
from harness.score.spans import of_claims, seconds


@dataclass(frozen=True, slots=True)
class Told:
    """One claim of the live run, the replay, or both. Seconds of the run; None: that one did not say it."""

    what: str  # alert | diagnosis
    name: str  # `LatencyHigh llm`, or `slow-llm: llm / latency`
    live_s: float | None
    replayed_s: float | None

    def agrees(self, within_s: float) -> bool:
        return self.live_s is not None and self.replayed_s is not None and abs(self.live_s - self.replayed_s) <= within_s

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "name": self.name, "live_s": self.live_s, "replayed_s": self.replayed_s}


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`interval_s` is the sampling interval: the two looked at different moments, up to so far apart.

    `same_operator`: both were the embedded one; else they need not agree.
    """

    same_operator: bool
    interval_s: float
    told: tuple[Told, ...]

    @property
    def agreeing(self) -> int:
        return sum(t.agrees(self.interval_s) for t in self.told)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; times in seconds of the run."""
        return {
            "same_operator": self.same_operator,
            "interval_s": round(self.interval_s, 3),
            "claims": [{**t.to_json(), "agrees": t.agrees(self.interval_s)} for t in self.told],
            "agreeing": self.agreeing,
            "n": len(self.told),
        }


def fidelity(live: History, replayed: History, interval_s: float) -> Fidelity:
    """Every alert episode, and the first diagnosis within each fault's window."""
    same = all(any(e.data.get("own") is True for e in h.of_kind(ev.OPERATOR)) for h in (live, replayed))
    told = [*_alerts(live, replayed), *(d for fault in live.faults if (d := _diagnoses(fault, live, replayed)) is not None)]
    return Fidelity(same, interval_s, tuple(told))


def _alerts(live: History, replayed: History) -> list[Told]:
    """Episodes of one fingerprint are paired in their order."""
    ours: dict[str, list[Episode]] = {}
    for episode in episodes(replayed.alerts):
        ours.setdefault(episode.fingerprint, []).append(episode)
    told = []
    for episode in episodes(live.alerts):
        same = ours.get(episode.fingerprint, [])
        told.append(_episodes(live, episode, same.pop(0) if same else None))
    told += [_episodes(live, None, episode) for left in ours.values() for episode in left]
    return sorted(told, key=lambda t: (t.live_s if t.live_s is not None else t.replayed_s or 0.0, t.name))


def _episodes(live: History, one: Episode | None, other: Episode | None) -> Told:
    shown = one or other
    assert shown is not None
    times = [seconds(live.start_ns, e.start_ns) if e is not None else None for e in (one, other)]
    return Told("alert", f"{shown.name} {shown.service or ''}".strip(), times[0], times[1])


def _diagnoses(fault: FaultTruth, live: History, replayed: History) -> Told | None:
    """The first that names a cause; where the two name another one first, the live one stands without its like."""
    span = of_claims(live, fault)
    if span is None:
        return None
    firsts = [next((d for d in h.diagnoses if d.causes and span.holds(d.t_ns)), None) for h in (live, replayed)]
    if firsts == [None, None]:
        return None
    names = [(d.causes[0].service, d.causes[0].kind) if d is not None else None for d in firsts]
    times = [seconds(live.start_ns, d.t_ns) if d is not None else None for d in firsts]
    shown = names[0] or names[1]
    assert shown is not None
    return Told("diagnosis", f"{fault.id}: {shown[0]} / {shown[1]}", times[0], times[1] if names[1] == shown else None)
