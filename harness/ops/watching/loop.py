"""The rounds of `gauntlet watch`: look, let the operator work, see how everything is, tell."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.ops.logs.streams import Streams
from harness.ops.monitoring.alerts import Alert
from harness.ops.monitoring.gpu import Gpus
from harness.ops.monitoring.history import History
from harness.ops.monitoring.host import Host
from harness.ops.monitoring.instances import Instances, Where
from harness.ops.monitoring.levels import Levels
from harness.ops.monitoring.readings import Source
from harness.ops.monitoring.rounds import BlindError, Looker
from harness.ops.operator import Operator
from harness.ops.pacing import paced
from harness.ops.recovery.pressure import PressurePolicy, PressureResponse
from harness.ops.stackfile.loading import StackFile
from harness.ops.targets import Targets
from harness.ops.watching.findings import Finding, Findings
from harness.ops.watching.health_source import HealthSource, questions
from harness.ops.watching.log_source import LogSource
from harness.ops.watching.monitor import Monitor, Snapshot
from harness.record.clock import Clock, utc_now
from harness.telemetry.gathering import GatheringScraper

if TYPE_CHECKING:
    from harness.ops.alerting.notifier import Notifier

SOURCES = "rag_gauntlet.sources"
STATUS_EVERY_S = 60.0
GATHERED = ("rag_", "client_", "process_", "vllm:", "container_", "pg_", "redis_")
"""Beginnings of the names that any rule, or reading, asks for."""

Told = Callable[[Mapping[str, Any]], None]


class SourceError(ValueError):
    """A source that the STACK.yaml names cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The sources that are always there."""

    host: Host
    instances: Instances
    gpus: Gpus
    logs: LogSource
    health: HealthSource

    @classmethod
    def of(cls, stack: StackFile, clock: Clock) -> Machine:
        """What this machine tells of itself and of the services that run on it."""
        where = {name: Where(s.pid_file, s.cgroup) for name, s in stack.document.services.items()}
        streams = Streams([Path(path) for path in stack.document.logs])
        logs = LogSource(streams, clock, frozenset(stack.document.services))
        instances = Instances(stack.targets.endpoints, clock, where)
        return cls(
            Host(stack.document.disks),
            instances,
            Gpus(),
            logs,
            HealthSource(partial(questions, stack), clock, stack.profile.health_every_s),
        )

    def close(self) -> None:
        """Ends what the sources hold."""
        self.gpus.close()
        self.health.close()

    def sources(self) -> list[tuple[str, Source]]:
        """By name."""
        own: list[tuple[str, Source]] = [
            ("host", self.host),
            ("instances", self.instances),
            ("gpu", self.gpus),
            ("health", self.health),
        ]
        return [*own, ("logs", self.logs)] if self.logs.streams.paths else own


def third_party(names: Iterable[str], targets: Targets) -> list[tuple[str, Source]]:
    """Sources by the names of their entry points. Raises SourceError."""
    known = {point.name: point for point in entry_points(group=SOURCES)}
    made: list[tuple[str, Source]] = []
    for name in names:
        if name not in known:
            raise SourceError(f"there is no source {name!r}; installed distributions announce {', '.join(sorted(known)) or 'none'}")
        try:
            made.append((name, known[name].load()(targets)))
        except Exception as error:  # the code is somebody else's: whatever it raises is told as its own
            raise SourceError(f"the source {name!r} ({known[name].value}) cannot be made: {type(error).__name__}: {error}") from error
    return made


def monitor_of(stack: StackFile, sources: Sequence[tuple[str, Source]]) -> Monitor:
    """A monitor as the STACK.yaml wants it."""
    document, profile = stack.document, stack.profile
    levels = Levels(document.services, document.limits)
    rows = {name: (one.detector, tuple(one.readings)) for name, one in document.together.items()}
    return Monitor(stack.targets, levels, sources, profile, document.capacity, History(profile.keep_s), rows)


def metrics_of(
    stack: StackFile, clock: Clock, environment: Mapping[str, str], asked: frozenset[str] | None = frozenset()
) -> GatheringScraper | None:
    """Who fetches the metrics, where that is not the watch itself. `asked`: names that rule files ask for, too; None: any."""
    prometheus = stack.document.prometheus
    if prometheus is None:
        return None
    token = environment[prometheus.token_env] if prometheus.token_env else None
    names = [f"{re.escape(beginning)}.*" for beginning in GATHERED] + sorted(asked) if asked is not None else [".+"]
    return GatheringScraper(prometheus.urls, names, clock, token)


def pressure_of(stack: StackFile, machine: Machine, told: Told) -> PressureResponse:
    """What this machine's scarcity is answered with."""
    asked, targets = stack.document.pressure, stack.targets
    policy = PressurePolicy(tuple(map(Path, asked.temporary)), asked.older_than, asked.restart)
    acts = not stack.dry and targets.recovery_mode == "act"
    return PressureResponse(policy, acts, machine.instances.hungriest, lambda: utc_now().timestamp(), told, targets.time_scale)


def paced_targets(stack: StackFile) -> Targets:
    """For the operator, whose durations are made for a look a second: who looks more seldom takes as many times as long."""
    return replace(stack.targets, time_scale=stack.targets.time_scale / max(1.0, stack.profile.every_s))


class Watch:
    """One watch. `see` gets every snapshot, `told` every document that is worth a line."""

    def __init__(
        self,
        stack: StackFile,
        monitor: Monitor,
        looker: Looker,
        operator: Operator,
        told: Told,
        notifier: Notifier | None = None,
        pressure: PressureResponse | None = None,
    ) -> None:
        self._stack, self._monitor, self._looker, self._operator, self._told = stack, monitor, looker, operator, told
        self._notifier, self._pressure = notifier, pressure
        self._findings = Findings(stack.targets.time_scale)
        self._lost: tuple[str, ...] = ()

    def round(self) -> Snapshot:
        """One round. What a source that fails says is told once, and again when it changes. A round that saw nothing concludes
        nothing: what fired goes on firing, beside the alert that we are blind.
        """
        try:
            round_ = self._looker.look()
        except BlindError as error:
            blind = Finding("WatchBlind", "watch", "telemetry", "critical", str(error))
            before = self._monitor.before
            snapshot = replace(before, t_s=error.t_s, findings=(*before.findings, blind), lost=(str(error),))
        else:
            self._operator.round(round_)
            snapshot = self._monitor.observe(round_, self._operator.windows)
        changed = self._findings.update(snapshot.t_s, snapshot.findings)
        if changed:
            self._operator.voice.alerts(changed)
        if self._pressure is not None:
            critical = [(s.subject, s.metric) for s in snapshot.statuses if s.level == "critical"]
            lasting = [(a.labels["service"], a.labels["metric"]) for a in self._findings.firing if a.labels["alertname"] == "LimitPassed"]
            for cause in self._pressure.update(snapshot.t_s, critical, lasting):
                self._operator.consider(snapshot.t_s, cause)
        if self._notifier is not None:
            self._notifier.tick(snapshot.t_s)
        if snapshot.lost != self._lost:
            self._lost = snapshot.lost
            for reason in snapshot.lost:
                self._told({"what": "lost", "reason": reason})
        return snapshot

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The operator's alerts, and those of the findings."""
        return (*self._operator.firing, *self._findings.firing)

    def run(self, ended: threading.Event, clock: Clock, see: Callable[[Snapshot, tuple[Alert, ...]], None]) -> None:
        """Rounds at a fixed pace until `ended` is set; a round that overran is followed by the next at once."""
        targets = self._stack.targets
        self._told({"what": "watching", "services": sorted(targets.kinds), "stack": self._stack.document.name})
        for _ in paced(self._stack.profile.every_s / targets.time_scale, ended, clock):
            see(self.round(), self.firing)
