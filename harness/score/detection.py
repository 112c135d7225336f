"""Alerts against the truth: what was found, how fast, and what was cried for nothing.

Alerts are judged as *episodes*, by the time the harness received them. An episode belongs to a fault when it starts in [intended, healed +
grace] and names a service of the fault's blast radius; each fault takes one, further ones are duplicates, all others are false alarms.
What an alert said of one fault, and then took back, does not silence it for the next. Episodes that may be about a fault of which nobody
knows whether it bit are counted neither way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.record.history import History
from harness.record.views import Alert, FaultTruth
from harness.score import stats
from harness.score.spans import GRACE_S, NS_PER_S, after_onset, began, of_claims, seconds

COOL_DOWN_S = 15.0  # an alert that fires again this soon after it was resolved is the same episode


@dataclass(frozen=True, slots=True)
class Episode:
    """Notifications of one fingerprint that belong together. Repeats of an alert that was never resolved are still the same one."""

    fingerprint: str
    name: str
    service: str | None
    start_ns: int
    resolved_ns: int | None
    fired_ns: int | None = None  # when it began to fire again, the last time, where it flapped


@dataclass(frozen=True, slots=True)
class Detection:
    """How one fault was detected. `window_s` is what a miss counts as in the censored mean."""

    fault_id: str
    delay_s: float | None  # onset to receipt, 0 where that came while the fault was being injected; None: missed
    window_s: float
    episode: Episode | None = None
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """All faults with a known onset that should be noticed, and all episodes."""

    detections: tuple[Detection, ...]
    false_alarms: tuple[Episode, ...]
    episodes: int
    fault_free_s: float

    def of(self, fault_id: str) -> Detection | None:
        return next((d for d in self.detections if d.fault_id == fault_id), None)

    @property
    def delays_s(self) -> tuple[float, ...]:
        return tuple(d.delay_s for d in self.detections if d.delay_s is not None)

    @property
    def recall(self) -> float | None:
        return len(self.delays_s) / len(self.detections) if self.detections else None

    @property
    def precision(self) -> float | None:
        """Faults found / (faults found + false alarms); None when nothing fired. Duplicates count neither way: repeating is no merit."""
        told = len(self.delays_s) + len(self.false_alarms)
        return len(self.delays_s) / told if told else None

    @property
    def mttd_s(self) -> float | None:
        return math.fsum(self.delays_s) / len(self.delays_s) if self.delays_s else None

    @property
    def censored_mean_s(self) -> float | None:
        """A miss counts as the length of the fault's window."""
        values = [d.window_s if d.delay_s is None else d.delay_s for d in self.detections]
        return math.fsum(values) / len(values) if values else None

    @property
    def false_alarms_per_hour(self) -> float | None:
        return len(self.false_alarms) * 3600.0 / self.fault_free_s if self.fault_free_s > 0 else None

    @property
    def false_alarms_per_hour_bound(self) -> float | None:
        """95 % upper bound of the rate when none was seen: -ln 0.05 events (about 3) in the time watched."""
        return -math.log(stats.ALPHA) * 3600.0 / self.fault_free_s if self.fault_free_s > 0 and not self.false_alarms else None


def episodes(alerts: Iterable[Alert], faults: Sequence[FaultTruth] = ()) -> tuple[Episode, ...]:
    """Merge notifications into episodes, in order of their start. With the `faults`, those about one are told from those about the next."""
    latest: dict[str, int] = {}
    found: list[Episode] = []
    for alert in sorted(alerts, key=lambda a: (a.t_ns, a.fingerprint, a.status)):
        place = latest.get(alert.fingerprint)
        if alert.status != "firing":
            if place is not None and found[place].resolved_ns is None:
                found[place] = replace(found[place], resolved_ns=alert.t_ns)
            continue
        resolved_ns = found[place].resolved_ns if place is not None else None
        if place is not None and resolved_ns is None:
            continue  # a repeat
        if place is not None and resolved_ns is not None and _goes_on(found[place], resolved_ns, alert.t_ns, faults):
            found[place] = replace(found[place], resolved_ns=None, fired_ns=alert.t_ns)
        else:
            latest[alert.fingerprint] = len(found)
            found.append(Episode(alert.fingerprint, alert.name, alert.service, alert.t_ns, None))
    return tuple(sorted(found, key=lambda e: (e.start_ns, e.fingerprint)))


def _goes_on(episode: Episode, resolved_ns: int, t_ns: int, faults: Sequence[FaultTruth]) -> bool:
    soon = t_ns - resolved_ns <= COOL_DOWN_S * NS_PER_S
    return soon and not _told_of_the_next(episode, resolved_ns, t_ns, faults)


def _told_of_the_next(episode: Episode, resolved_ns: int, t_ns: int, faults: Sequence[FaultTruth]) -> bool:
    """Is it one fault that the episode was about, and another one that the alert at `t_ns` is about?

    Only where the first was proved gone, the alert was quiet from then on once it was resolved, and the second began after both. An alert
    that flaps on its own has either been about nothing, or has fired again since the first was gone: its episode goes on.
    """
    before = [f for f in faults if _in_radius(episode, f) and f.onset_ns is not None and began(f, f.onset_ns) <= resolved_ns]
    if not any(_within(episode.start_ns, f) for f in before):
        return False
    gone_ns = max((f.gone_ns if f.gone_ns is not None else t_ns) for f in before)
    if episode.fired_ns is not None and episode.fired_ns > gone_ns:
        return False
    begun = [began(f, f.onset_ns) for f in faults if _in_radius(episode, f) and f.onset_ns is not None]
    return any(max(gone_ns, resolved_ns) < start_ns <= t_ns for start_ns in begun)


def _within(t_ns: int, fault: FaultTruth) -> bool:
    """Could an alert at `t_ns` be about the fault, by its time?"""
    if fault.onset_ns is None or t_ns < began(fault, fault.onset_ns):
        return False
    return fault.healed_ns is None or t_ns <= fault.healed_ns + round(GRACE_S * NS_PER_S)


def _in_radius(episode: Episode, fault: FaultTruth) -> bool:
    return not fault.benign and episode.service in radius(fault) | set(fault.accepted)


def radius(fault: FaultTruth) -> frozenset[str]:
    """Services whose alerts can be about the fault: its target, the ends of its edge, and the declared blast radius."""
    return frozenset({fault.service, *fault.blast_radius, *(fault.edge or ())})


def detect(history: History) -> DetectionScore:
    """Match every episode with the faults. Benign changes match nothing; neither do faults without an onset."""
    faults = [f for f in history.faults if not f.benign and f.onset_ns is not None]
    found = episodes(history.alerts, faults)
    taken: dict[str, Episode] = {}
    duplicates: dict[str, int] = {}
    false_alarms: list[Episode] = []
    doubtful = 0
    for episode in found:
        claimed = [f for f in faults if _is_about(episode, f, history)]
        free = [f for f in claimed if f.id not in taken]
        if free:
            # Of several faults that it may be about: the one whose own target it names, else the one that broke first.
            best = min(free, key=lambda f: (f.service != episode.service, f.onset_ns or 0, f.id))
            taken[best.id] = episode
        elif claimed:
            duplicates[claimed[0].id] = duplicates.get(claimed[0].id, 0) + 1
        elif any(_is_doubtful(episode, f) for f in history.faults):
            doubtful += 1
        else:
            false_alarms.append(episode)
    detections = tuple(_detection(f, taken.get(f.id), duplicates.get(f.id, 0), history) for f in faults)
    return DetectionScore(detections, tuple(false_alarms), len(found) - doubtful, _fault_free_s(history, faults))


def about(history: History, fault: FaultTruth) -> tuple[Episode, ...]:
    """Episodes that can be about the fault, in order of their start, whichever fault each is counted for."""
    return tuple(e for e in episodes(history.alerts, history.faults) if _is_about(e, fault, history))


def _is_about(episode: Episode, fault: FaultTruth, history: History) -> bool:
    span = of_claims(history, fault)
    return span is not None and span.holds(episode.start_ns) and _in_radius(episode, fault)


def _is_doubtful(episode: Episode, fault: FaultTruth) -> bool:
    if fault.benign or fault.onset_ns is not None or fault.intended_ns is None or episode.start_ns < fault.intended_ns:
        return False
    over = fault.healed_ns is not None and episode.start_ns > fault.healed_ns + round(GRACE_S * NS_PER_S)
    return not over and episode.service in radius(fault) | set(fault.accepted)


def _detection(fault: FaultTruth, episode: Episode | None, duplicates: int, history: History) -> Detection:
    span = of_claims(history, fault)
    if span is None or fault.onset_ns is None:  # `detect` asks only for faults with an onset
        raise ValueError(f"fault {fault.id} has no onset")
    delay_s = after_onset(fault.onset_ns, episode.start_ns) if episode is not None else None
    return Detection(fault.id, delay_s, seconds(fault.onset_ns, span.end_ns - 1), episode, duplicates)


def _fault_free_s(history: History, faults: Sequence[FaultTruth]) -> float:
    """Seconds of the run that lie in no fault's window."""
    spans = sorted((s.start_ns, s.end_ns) for s in (of_claims(history, f) for f in faults) if s is not None)
    free_ns, reached_ns = 0, history.start_ns
    for start_ns, end_ns in spans:
        free_ns += max(0, start_ns - reached_ns)
        reached_ns = max(reached_ns, end_ns)
    return (free_ns + max(0, history.end_ns - reached_ns)) / NS_PER_S
