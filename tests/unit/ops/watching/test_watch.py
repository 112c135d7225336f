"""A watch over a simulated stack: quiet when nothing is wrong, and clear about what is."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import wait
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest

from harness.ops.health.answer import UnwellError
from harness.ops.health.asking import Question
from harness.ops.logs.streams import Streams
from harness.ops.monitoring.levels import Levels
from harness.ops.monitoring.readings import Reading
from harness.ops.monitoring.rounds import Round
from harness.ops.stackfile.loading import StackFile, stack_of_text
from harness.ops.stackfile.profiles import Profile
from harness.ops.targets import Targets
from harness.ops.watching.desk import EVENTS, Desk, Listener
from harness.ops.watching.findings import LASTING_S, Finding, Findings
from harness.ops.watching.health_source import HealthSource, questions
from harness.ops.watching.log_source import LogSource
from harness.ops.watching.loop import Machine, SourceError, Watch, third_party
from harness.ops.watching.monitor import Monitor, Snapshot
from harness.ops.watching.view import lines, summary, table
from harness.record.clock import SystemClock, WallAnchor
from harness.telemetry.prometheus_text import parse
from harness.testing import FakeClock
from tests.unit.ops.world import World, on_call

ANCHOR = WallAnchor("2026-11-30T12:00:00+00:00", 0)
STACK = "services:\n  gateway: {url: 'http://127.0.0.1:1'}"


class Told:
    """A source whose values the test sets."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.error: Exception | None = None

    def read(self) -> Iterable[Reading]:
        if self.error is not None:
            raise self.error
        return [Reading("host", name, value) for name, value in self.values.items()]


class Watched:
    """A watch of a world, with everything it says."""

    def __init__(self, tmp_path: Path, detectors: dict[str, str] | None = None, bare: bool = False) -> None:
        """`bare`: only the source says anything."""
        self.bare = bare
        self.world, self.source, self.documents = World(tmp_path), Told(), list[Any]()
        operator, self.ear = on_call(self.world)
        stack = stack_of_text(STACK, "S", {})
        self.stack = StackFile("S", stack.document, self.world.targets)
        self.monitor = Monitor(
            self.world.targets, Levels(self.world.targets.kinds), [("told", self.source)], Profile(detectors=detectors or {})
        )
        self.watch = Watch(self.stack, self.monitor, self, operator, self.documents.append)

    def look(self) -> Round:
        if not self.bare:
            return self.world.step()
        self.world.t_s += 1.0
        return Round(self.world.t_s, ())

    def go(self, seconds: int) -> Snapshot:
        for _ in range(seconds):
            snapshot = self.watch.round()
        return snapshot


def test_a_calm_stack_is_healthy_and_silent(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.source.values = {"cpu": 0.3, "disk:/": 0.5}
    snapshot = watched.go(90)
    assert watched.ear.said == [] and snapshot.findings == ()
    assert snapshot.level == "healthy", [s for s in snapshot.statuses if s.level != "healthy"]
    of = {(s.subject, s.metric): s for s in snapshot.statuses}
    assert of["gateway", "throughput"].value == pytest.approx(25.0, rel=0.05)
    assert of["postgres", "availability"].value == 1.0
    assert of["client", "response_time"].level == "healthy"


def test_a_limit_that_stays_passed_is_an_alert_and_ends(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.source.values = {"cpu": 0.3}
    watched.go(40)
    watched.source.values = {"cpu": 0.95}
    watched.go(5)
    watched.source.values = {"cpu": 0.3}
    watched.go(20)
    assert watched.ear.said == [], "five seconds are no load"
    watched.source.values = {"cpu": 0.95}
    assert watched.go(20).level == "critical"
    assert watched.ear.of("firing") == ["LimitPassed host"]
    assert [a.labels["metric"] for a in watched.watch.firing] == ["cpu"]
    watched.source.values = {"cpu": 0.3}
    watched.go(20)
    assert watched.ear.of("resolved") == ["LimitPassed host"] and watched.ear.of("action") == []


def test_the_operator_works_beside_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.go(40)
    watched.world.down = {"retrieval-2": "refused"}
    watched.go(5)
    assert "InstanceDown retrieval" in watched.ear.of("firing")
    assert watched.ear.of("diagnosis") == [(("retrieval", "crash"),)]


def test_a_detector_is_chosen_for_a_reading(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {"host/queue": "ensemble", "*/unheard": "ewma"}, bare=True)
    for n in range(400):
        watched.source.values = {"queue": 10.0 + n % 5, "other": 1.0 * n}
        watched.go(1)
    assert watched.ear.of("firing") == []
    watched.source.values = {"queue": 900.0}
    watched.go(1)
    assert watched.ear.of("firing") == ["Anomaly host"]


def test_a_distribution_that_moves_is_a_drift_graded_and_remembered(tmp_path: Path) -> None:
    watched, random = Watched(tmp_path, {"host/score": "ks", "host/length": "adwin"}, bare=True), Random(3)
    for n in range(600):
        watched.source.values = {
            "score": random.gauss(0.0 if n < 400 else 3.0, 1.0),
            "length": random.gauss(100.0 if n < 400 else 160.0, 9.0),
        }
        watched.go(1)
    told = {(d.key, d.detector, d.severity) for d in watched.monitor.drifts}
    assert ("host/length", "adwin", "warning") in told and ("host/score", "ks", "critical") in told
    assert [d.key for d in watched.monitor.drifts].count("host/score") == 1, "one that lasts is one"
    assert all(d.t_s > 400 for d in watched.monitor.drifts) and "Drift host" in watched.ear.of("firing")


def test_readings_that_are_only_strange_together(tmp_path: Path) -> None:
    watched, random = Watched(tmp_path, bare=True), Random(4)
    watched.monitor.together = {"load": ("mewma", ("host/sent", "host/served"))}
    for n in range(260):
        level = random.gauss(50.0, 10.0)
        watched.source.values = {"sent": level, "served": level if n < 200 else 100.0 - level}
        watched.go(1)
        if n == 199:
            assert watched.ear.of("firing") == []
    assert "Anomaly host" in watched.ear.of("firing"), "each is as it always was"


def test_a_disk_that_fills_up_is_told_in_time(tmp_path: Path) -> None:
    watched = Watched(tmp_path, bare=True)
    for n in range(190):
        watched.source.values = {"disk:/": 0.5 + n * 4e-4, "disk:/slow": 0.5 + n * 1e-6, "memory": 0.4}
        watched.go(1)
    assert watched.ear.of("firing") == ["RunningOut host"]
    assert [a.labels["metric"] for a in watched.watch.firing] == ["disk:/"], "three minutes say nothing of five days"
    grows = [f for f in watched.watch.round().forecasts if f.verdict == "grows"]
    assert [f.key for f in grows] == ["host/disk:/", "host/disk:/slow"] and grows[0].in_s == pytest.approx(
        (0.5 - 180 * 4e-4) / 4e-4, rel=0.05
    )


def test_load_that_grows_towards_a_capacity_is_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.monitor.capacity_per_s = {"gateway": 100.0}
    for n in range(190):
        watched.world.rate_per_s = 25.0 + n * 0.2
        watched.go(1)
    (used,) = [f for f in watched.watch.round().forecasts if f.key == "gateway/capacity_used"]
    assert used.verdict == "grows" and used.in_s is not None and 200 < used.in_s < 400


def test_a_source_that_fails_is_told_once_and_costs_only_itself(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.source.error = RuntimeError("no sensor")
    snapshot = watched.go(30)
    assert watched.documents == [{"what": "lost", "reason": "told: RuntimeError: no sensor"}]
    assert snapshot.lost and any(s.subject == "gateway" for s in snapshot.statuses)


def test_findings_need_to_last_and_are_resolved_once() -> None:
    findings, one = Findings(), Finding("X", "a", "m", "critical", "s")
    spoken = [(t, a.ends_at_s is None) for t in range(60) for a in findings.update(float(t), [one] if t < 30 or 40 < t < 45 else [])]
    assert spoken == [(LASTING_S, True), (44 + LASTING_S, False)]
    assert Findings().update(0.0, [Finding("X", "a", "m", "warning", "s", at_once=True)])[0].labels["severity"] == "warning"


def test_the_loop_ends_when_it_is_told_to(tmp_path: Path) -> None:
    watched, ended, seen = Watched(tmp_path), Event(), list[Snapshot]()

    def see(snapshot: Snapshot, firing: Any) -> None:
        seen.append(snapshot)
        if len(seen) == 3:
            ended.set()

    watched.stack.document.__dict__["every"] = 0.001
    watched.watch.run(ended, SystemClock(), see)
    assert len(seen) == 3 and watched.documents[0]["what"] == "watching"


def alert(
    status: str = "firing", severity: str = "critical", at: str = "2026-11-30T12:00:00Z", end: str = "2026-11-30T12:00:30Z"
) -> dict[str, Any]:
    labels = {"alertname": "InstanceDown", "service": "db", "severity": severity}
    return {"status": status, "labels": labels, "annotations": {"summary": "gone"}, "startsAt": at, "endsAt": end}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    watched = Watched(tmp_path)
    watched.source.values = {"cpu": 0.95}
    made = Desk(watched.monitor, Machine.of(watched.stack, SystemClock()), ANCHOR, dry_run=True, out=tmp_path / "out")
    assert made.document("status") == {"level": "unknown", "reason": "the first round is under way"}
    for _ in range(70):
        made.see(watched.watch.round(), watched.watch.firing, 0.01)
    return made


def test_documents_of_a_watch(desk: Desk, tmp_path: Path) -> None:
    desk.event({"what": "alerts", "body": {"alerts": [alert(), alert("resolved"), alert(severity="warning")]}})
    desk.write()
    out = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(out) == {EVENTS, "status.json", "dashboard.json", "performance.json"}
    dashboard = json.loads(out["dashboard.json"].read_text(encoding="utf-8"))
    assert (dashboard["level"], dashboard["at"][:16]) == ("critical", "2026-11-30T12:01")
    assert [a["labels"]["metric"] for a in dashboard["alerts"]] == ["cpu"]
    ((hour,), trend) = dashboard["alert_trend"]["by_hour"], dashboard["alert_trend"]
    assert {k: v for k, v in hour.items() if k != "hour"} == {"firing": 2, "resolved": 1, "severity_critical": 1, "severity_warning": 1}
    assert (trend["resolved"], trend["resolution_s_mean"]) == (1, 30.0)
    assert len(dashboard["series"]["host/cpu"]) == 70
    performance = json.loads(out["performance.json"].read_text(encoding="utf-8"))
    cpu = performance["metrics"]["host/cpu"]
    assert (cpu["mean"], cpu["minimum"], cpu["maximum"]) == (pytest.approx(0.95), 0.95, 0.95)
    assert performance["period"]["seconds"] == 69.0
    assert [(r["subject"], r["metric"], r["level"]) for r in performance["recommendations"]] == [("host", "cpu", "critical")]
    event = json.loads(out[EVENTS].read_text(encoding="utf-8"))
    assert (event["what"], event["dry_run"]) == ("alerts", True)


def test_what_was_done_and_what_should_change_stand_in_the_documents(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    made = Desk(watched.monitor, Machine.of(watched.stack, SystemClock()), ANCHOR, dry_run=False, out=tmp_path / "out")
    made.attend(watched.watch._operator)
    for n in range(60):
        watched.world.down = {"retrieval-2": "refused"} if n > 30 else {}
        made.see(watched.watch.round(), watched.watch.firing, 0.01)
    (first, *_) = made.document("status")["actions"]
    assert (first["service"], first["kind"], [step["verb"] for step in first["steps"]]) == ("retrieval", "crash", ["restart"])
    assert first["at"].startswith("2026-11-30T12:00:3") and first["helped"] is False
    assert made.document("performance")["advice"] == [] and made.document("dashboard")["drifts"] == []


def test_prometheus_reads_what_is_served(desk: Desk) -> None:
    listener = Listener(desk, 0)
    try:
        text = urllib.request.urlopen(f"{listener.url}/metrics", timeout=60).read().decode()
        status = json.loads(urllib.request.urlopen(f"{listener.url}/status", timeout=60).read())
        families = json.loads(urllib.request.urlopen(f"{listener.url}/metrics.json", timeout=60).read())
        keys = json.loads(urllib.request.urlopen(f"{listener.url}/history", timeout=60).read())["keys"]
        cpu = json.loads(urllib.request.urlopen(f"{listener.url}/history/host/cpu", timeout=60).read())
        short = json.loads(urllib.request.urlopen(f"{listener.url}/history/host/cpu?window=10s", timeout=60).read())
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"{listener.url}/history/host/cpu?window=soon", timeout=60)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{listener.url}/secrets", timeout=60)
    finally:
        listener.close()
    samples = {(name, labels.get("subject"), labels.get("name")): value for name, labels, value in parse(text)}
    assert samples["watch_reading", "host", "cpu"] == 0.95
    assert samples["watch_round_seconds_count", None, None] == 70.0
    assert ("host_cpus", None, None) in samples and status["level"] == "critical"
    assert {"counter", "gauge", "histogram", "summary"} == {family["type"] for family in families}
    assert short["summary"]["count"] == len(short["points"]) == 11
    assert "host/cpu" in keys and (cpu["summary"]["count"], cpu["summary"]["maximum"], len(cpu["points"])) == (70, 0.95, 70)


AT = {"at": "2026-11-30T12:00:00+00:00", "dry_run": True}


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"what": "watching", "services": ["a"]}, "watching a; dry run: actions are only told"),
        ({"what": "alerts", "body": {"alerts": [alert()]}, "answer": {}}, "FIRING    critical InstanceDown db: gone"),
        ({"what": "alerts", "answer": {"error": "2 were received by nobody"}}, "alerts  [not received: 2 were received by nobody]"),
        ({"what": "diagnosis", "body": {"causes": [{"service": "db", "kind": "crash", "confidence": 0.9}]}}, "DIAGNOSIS db (crash, 0.90)"),
        ({"what": "action", "body": {"verb": "restart", "service": "db", "instance": None}}, "WOULD DO  restart db"),
        ({"what": "escalation", "body": {"reason": "no verb"}}, "PERSON    no verb"),
        (
            {
                "what": "pressure",
                "subject": "host",
                "metric": "cpu",
                "processes": [{"name": "a", "pid": 7, "cpus": 1.5, "memory_bytes": 2**21}],
            },
            "PRESSURE  cpu of host; most is taken by a (7, 1.5 cpus, 2 MiB)",
        ),
        ({"what": "cleaned", "files": 2, "freed_bytes": 2**20, "removed": False}, "CLEANED   2 old files, 1.0 MiB, would be removed"),
        ({"what": "lost", "reason": "x: y"}, "LOST      x: y"),
        ({"what": "ended"}, "ended"),
    ],
)
def test_lines_for_a_person(document: dict[str, Any], line: str) -> None:
    assert list(lines({**AT, **document})) == [f"12:00:00  {line}"]


def test_the_table_and_the_summary(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.source.values = {"cpu": 0.95}
    snapshot = watched.go(30)
    assert summary(snapshot, 2) == "2 alerts firing; cpu of host 95 %"
    drawn = table(snapshot, watched.world.targets.kinds)
    assert drawn.row_count == len(watched.world.targets.kinds) + 2


def test_logs_are_a_source_of_readings(tmp_path: Path) -> None:
    log, clock = tmp_path / "a.log", FakeClock(100.0)
    source = LogSource(Streams([log]), clock, frozenset({"llm", "quiet"}))
    with log.open("a", encoding="utf-8") as file:
        for name in ("llm", "llm", "odd"):
            file.write(json.dumps({"service": name, "level": "error", "event": "x", "error": "OSError: y"}) + "\n")

    def read() -> dict[str, float]:
        return {r.key: r.value for r in source.read() if r.name == "log_errors"}

    assert read() == {"llm/log_errors": 2.0, "logs/log_errors": 1.0, "quiet/log_errors": 0.0}
    assert [e["type"] for e in source.newest_errors()] == ["OSError"] * 3
    clock.advance(61.0)
    assert read() == {"llm/log_errors": 0.0, "logs/log_errors": 0.0, "quiet/log_errors": 0.0}


def test_who_has_no_metrics_is_asked_for_its_health(tmp_path: Path) -> None:
    text = "services:\n  a: {url: 'http://127.0.0.1:1', metrics: null}\n  b: {url: 'http://127.0.0.1:1'}"
    stack = stack_of_text(text, "S", {})
    assert [(q.service, q.part) for q in questions(stack)] == [("a", "a-1")]
    clock, answers = FakeClock(), ["well"]

    def answered() -> str:
        if answers[-1] != "well":
            raise UnwellError(answers[-1])
        return "well"

    source = HealthSource(lambda: [Question("a", "a-1", 1.0, answered)], clock)

    def asked(times: int) -> dict[str, float]:
        for _ in range(times):
            clock.advance(5.0)
            list(source.read())
            wait(source._asked)
        return {r.name: r.value for r in source.read()}

    try:
        assert asked(3) == {"availability_by_looks": 1.0, "look_time": 0.0}
        answers.append("gone")
        assert asked(1) == {"availability_by_looks": 0.75}
    finally:
        source.close()


class Sensor:
    """As another distribution would have one."""

    def __init__(self, targets: Targets) -> None:
        if not targets.kinds:
            raise ValueError("nothing to sense")

    def read(self) -> list[Reading]:
        return [Reading("host", "sensor", 1.0)]


class Point:
    name, value = "sensor", "ours:Sensor"

    def load(self) -> Callable[[Targets], Sensor]:
        return Sensor


def test_sources_of_third_parties(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("harness.ops.watching.loop.entry_points", lambda group: [Point()] if group == "rag_gauntlet.sources" else [])
    targets = World(tmp_path).targets
    ((name, source),) = third_party(["sensor"], targets)
    assert (name, list(source.read())) == ("sensor", [Reading("host", "sensor", 1.0)])
    with pytest.raises(SourceError, match="there is no source 'senser'; installed distributions announce sensor"):
        third_party(["senser"], targets)
    with pytest.raises(SourceError, match=r"'sensor' \(ours:Sensor\) cannot be made: ValueError: nothing to sense"):
        third_party(["sensor"], Targets(kinds={}, registry=None, static={}, edges=()))
