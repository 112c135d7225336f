"""The telemetry of a recorded run as an operator saw it. Reads no truth: neither events nor scenario nor verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from harness.ops.monitoring.rounds import CLIENT, Look, Round
from harness.ops.targets import Endpoint, Targets, TargetsError, targets_of
from harness.record.clock import NS_PER_S
from harness.record.frames import FrameError, read_frames
from harness.record.looks import Looked, LookRound, LooksError, read_looks
from harness.record.samples import SAMPLE, Series, read_series
from harness.record.store import RecordError, RunDirectory

Samples = Sequence[tuple[str, Mapping[str, str], float]]
_TOLD = ("services", "static", "edges", "slos", "time_scale")


@dataclass(frozen=True, slots=True)
class Seen:
    """One round as the operator gets it, and when looking had ended: what it says of it is said then."""

    round: Round
    done_ns: int


@dataclass(frozen=True)
class Recording:
    """What a run kept of its telemetry. `rounds` may be read as often as somebody asks."""

    directory: RunDirectory
    targets: Targets
    document: Mapping[str, Any]  # of the targets, as it was recorded

    @classmethod
    def of(cls, directory: RunDirectory) -> Recording:
        """Raises RecordError for a run that kept too little to be replayed; the message says what."""
        if not directory.targets.is_file():
            raise RecordError(
                f"{directory.path}: cannot be replayed: it has no {directory.targets.name}; "
                "it was recorded before runs kept what an operator sees; run the scenario again"
            )
        try:
            document = json.loads(directory.targets.read_text(encoding="utf-8"))
            recording = cls(directory, targets_of(document, directory.targets), document)
        except (ValueError, KeyError, TargetsError) as error:
            raise RecordError(f"{directory.targets}: {error}") from error
        if recording.targets.rules:
            raise RecordError(f"{directory.path}: cannot be replayed: its alerts came from rule files, which a record does not hold")
        if next(recording._looks(), None) is None:
            raise RecordError(f"{directory.path}: cannot be replayed: nothing was looked at; the run ended before its first round")
        return recording

    @property
    def told(self) -> Mapping[str, Any]:
        """What of the targets still means something in a replay: not where to ask, or to whom to speak."""
        return {key: self.document[key] for key in _TOLD if key in self.document}

    def rounds(self) -> Iterator[Seen]:
        """In order of time. Raises RecordError where samples of a round are missing: blindness would look like calm."""
        series = {s.number: s for s in read_series(self.directory.samples)}
        frames = _Frames(self.directory.samples / "samples.seg", series)
        for looked in self._looks():
            found = frames.at(looked.t_ns)
            looks = tuple(self._look(look, looked.t_ns, found) for look in looked.looks)
            seen = Round(looked.t_ns / NS_PER_S, looks, found.get(CLIENT, ()))
            yield Seen(seen, looked.t_ns + round(looked.took_s * NS_PER_S))

    def interval_s(self) -> float:
        """The usual time between two rounds."""
        times = [looked.t_ns for looked in self._looks()]
        return median((b - a) / NS_PER_S for a, b in pairwise(times)) if len(times) > 1 else 0.0

    def _looks(self) -> Iterator[LookRound]:
        try:
            yield from read_looks(self.directory.samples)
        except LooksError as error:
            raise RecordError(str(error)) from error

    def _look(self, looked: Looked, t_ns: int, found: Mapping[str, Samples]) -> Look:
        at = looked.at
        if at.instance not in found:
            raise RecordError(f"{self.directory.samples}: no samples of {at.instance} in the round at {t_ns}: the record was cut")
        endpoint = Endpoint(at.service, at.instance, at.url, at.metrics)
        return Look(endpoint, looked.duration_s, found[at.instance], looked.error, looked.serving, looked.clock_ahead_s)


class _Frames:
    """Samples in the order in which they were written, a round at a time."""

    def __init__(self, path: Path, series: Mapping[int, Series]) -> None:
        self._series = series
        try:
            self._frames = read_frames(path, SAMPLE) if path.exists() else iter(())
            self._next: Any = next(self._frames, None)
        except FrameError as error:
            raise RecordError(str(error)) from error

    def at(self, t_ns: int) -> dict[str, Samples]:
        """By target; what was scraped beside the round (instances that were not listed) is passed over."""
        found: dict[str, Samples] = {}
        while self._next is not None and self._next["t_ns"][0] <= t_ns:
            rows, self._next = self._next, next(self._frames, None)
            if rows["t_ns"][0] == t_ns and int(rows["series"][0]) in self._series:
                target = self._series[int(rows["series"][0])].target
                found[target] = [*found.get(target, ()), *self._samples(rows)]  # one may be scraped, and probed as well
        return found

    def _samples(self, rows: Any) -> Samples:
        """The first row is the harness's own word of whether the target answered."""
        known = [(self._series.get(n), value) for n, value in zip(rows["series"][1:].tolist(), rows["value"][1:].tolist(), strict=True)]
        return [(s.name, s.labels, value) for s, value in known if s is not None]
