"""Rule files in the operator: its rounds are a Prometheus' series, and their alerts are told in the place of its own."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from harness.ops.alerting.anomalies import Anomalies
from harness.ops.alerting.channels.config import read_notify
from harness.ops.alerting.notifier import Notifier
from harness.ops.alerting.promql.evaluate import Moment, evaluate
from harness.ops.alerting.promql.parse import parse
from harness.ops.alerting.promql.series import SeriesStore, labels_of
from harness.ops.alerting.promql.syntax import Selector
from harness.ops.alerting.rule_alerts import RuleAlerts, wanted_metrics
from harness.ops.alerting.rules.checking import check
from harness.ops.alerting.rules.reading import read_text
from harness.ops.alerting.rules.shipped import shipped_text
from harness.ops.alerting.scraped import Scraped
from harness.ops.monitoring.detectors.registry import UnknownDetectorError
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.monitoring.symptoms import SymptomRules
from harness.ops.operator import Operator
from harness.ops.targets import Endpoint
from harness.testing import FakeClock
from tests.unit.ops.world import Ear, World

SHIPPED = read_text(shipped_text(), "default.yml")
OFFSET_S = 1_700_000_000.0


def on_call(world: World, alerts: RuleAlerts) -> tuple[Operator, Ear]:
    ear = Ear(world)
    return Operator(world.targets, ear, SymptomRules(latency_limit_s=0.8), alerting=alerts), ear


def play(world: World, operator: Operator, rounds: int) -> None:
    for _ in range(rounds):
        operator.round(world.step())


def test_the_shipped_rules_are_silent_where_all_is_well(tmp_path: Path) -> None:
    world = World(tmp_path)
    operator, ear = on_call(world, RuleAlerts(SHIPPED, 1.0, OFFSET_S))
    play(world, operator, 150)
    assert ear.said == []


def test_the_shipped_rules_name_what_is_down_and_who_recovers_it(tmp_path: Path) -> None:
    """The alert is the rule's, with its `for` of ten seconds, compressed; diagnosis and recovery begin with it."""
    world = World(tmp_path)
    operator, ear = on_call(world, RuleAlerts(SHIPPED, 2.0, OFFSET_S))
    play(world, operator, 20)
    world.down["cache-1"] = "refused"
    play(world, operator, 12)
    assert ear.first("firing") == (26.0, "ProbeFailed cache")
    assert ear.of("diagnosis")[0][0] == ("cache", "crash")  # type: ignore[index]
    assert [step.service for step in ear.of("action")] == ["cache"]  # type: ignore[attr-defined]
    del world.down["cache-1"]
    play(world, operator, 2)
    assert ear.of("resolved") == ["ProbeFailed cache"]


TEAM = """
groups:
  - name: team
    rules:
      - {record: "callee:fails", expr: 'sum by (callee) (rate(rag_client_requests_total{outcome!="ok"}[10s]))'}
      - alert: TeamCallsFail
        expr: label_replace(callee:fails, "service", "$1", "callee", "(.+)") > 2
        for: 3s
        labels: {severity: error}
        annotations: {summary: "{{ printf \\"%.0f\\" $value }}/s fail at {{ $labels.service }}"}
      - {alert: Wrong, expr: rag_requests_total * on (service) rag_client_requests_total}
"""


def test_a_teams_own_rules_are_told_and_a_rule_that_fails_says_so(tmp_path: Path) -> None:
    world, told = World(tmp_path), list[dict[str, object]]()
    alerts = RuleAlerts(read_text(TEAM, "team.yml"), 1.0, OFFSET_S, lambda document: told.append(dict(document)))
    operator, ear = on_call(world, alerts)
    play(world, operator, 20)
    world.failing["generation", "llm"] = ("http_5xx", 0.5)
    play(world, operator, 20)
    assert {said for what in ("firing", "resolved") for said in ear.of(what)} == {"TeamCallsFail llm"}
    (firing,) = alerts.firing
    assert firing.labels == {"alertname": "TeamCallsFail", "callee": "llm", "service": "llm", "severity": "error"}
    assert firing.annotations["summary"].endswith("/s fail at llm")
    assert 21 <= firing.starts_at_s <= 30
    (failure,) = told
    assert str(failure["rule"]) == "team.yml:11:9" and "duplicate series" in str(failure["error"])


def history(failed: int, *, slow: int = 0, of: int = 40, over_s: int = 60, time_scale: float = 3.0) -> set[str]:
    """Names of the shipped alerts that fired: the gateway was asked `of` times in so many seconds, and so many failed, or took 4 s."""
    alerts, fired = RuleAlerts(SHIPPED, time_scale, OFFSET_S), set()
    gateway = Endpoint("gateway", "gateway-1", "http://a")
    labels = {
        "200": {"route": "/api/ask", "method": "POST", "status": "200"},
        "503": {"route": "/api/ask", "method": "POST", "status": "503"},
    }
    called = {"ok": {"callee": "llm", "outcome": "ok"}, "http_5xx": {"callee": "llm", "outcome": "http_5xx"}}
    buckets = {le: {"route": "/api/ask", "le": le} for le in ("2.5", "5", "+Inf")}
    for t in range(over_s + 1):
        asked = of * t // over_s
        late = max(0, asked - of // 2)  # the first half goes well
        bad, waited = min(failed, late), min(slow, late)
        fast = asked - waited
        samples = [("rag_requests_total", labels[s], float(100 + n)) for s, n in (("200", asked - bad), ("503", bad))]
        samples += [("rag_client_requests_total", called[o], float(100 + n)) for o, n in (("ok", asked - bad), ("http_5xx", bad))]
        samples += [
            ("rag_request_duration_seconds_bucket", buckets[le], float(n)) for le, n in (("2.5", fast), ("5", asked), ("+Inf", asked))
        ]
        samples += [("rag_request_duration_seconds_count", {"route": "/api/ask"}, float(asked))]
        fired |= {a.labels["alertname"] for a in alerts.changes(Round(float(t), (Look(gateway, 0.01, samples),)))}
    return fired


def test_one_failure_among_few_requests_wakes_nobody_up() -> None:
    """At 40 requests a minute and `time_scale: 3`, a window of 20 s holds 13: one of them is 7.5 %, and stays longer than `for`."""
    assert history(failed=1) == set()
    assert history(failed=3) == set()
    assert history(failed=8) >= {"ErrorsHigh", "CallsFailing"}
    assert history(failed=8, time_scale=1.0) >= {"ErrorsHigh", "CallsFailing"}


def test_a_percentile_of_few_requests_is_none() -> None:
    """The slowest twentieth of thirteen requests is one request."""
    assert history(failed=0, slow=1) == set()
    assert history(failed=0, slow=30, of=120) >= {"AnswersSlow"}


def test_points_are_kept_as_long_as_some_rule_asks_for_them() -> None:
    """A rule over an hour of the gateway's requests does not keep an hour of everything."""
    rules = """
groups:
  - name: team
    rules:
      - {alert: Budget, expr: 'sum(rate(rag_requests_total{service="gateway"}[1h])) < 0'}
      - {alert: Now, expr: 'sum(rate(rag_requests_total[1m])) < 0'}
      - {alert: Level, expr: level < 0}
"""
    alerts = RuleAlerts(read_text(rules, "team.yml"), 1.0, OFFSET_S)
    ends = [Endpoint(service, f"{service}-1", "http://a") for service in ("gateway", "query")]
    samples = [("rag_requests_total", {"status": "200"}, 1.0), ("level", {"of": "x"}, 1.0)]
    for t in range(600):
        alerts.changes(Round(float(t), tuple(Look(at, 0.01, samples) for at in ends)))
    store = alerts._scraped.store
    kept = {
        (dict(one.labels)["service"], name): len(one.t_ms)
        for name in ("rag_requests_total", "level")
        for one in store.select(Selector(name))
    }
    assert kept["gateway", "rag_requests_total"] == 600
    assert 60 <= kept["query", "rag_requests_total"] <= 60 + 5 + 30
    assert 300 <= kept["query", "level"] <= 300 + 5 + 30


def look(samples: list[tuple[str, dict[str, str], float]], *, error: str | None = None, url: str = "http://a") -> Look:
    return Look(Endpoint("s", "s-1", url), 0.25, samples, error)


def ask(store: SeriesStore, text: str, t_s: float) -> dict[tuple[tuple[str, str], ...], float]:
    found = evaluate(parse(text), Moment(store, round((t_s + OFFSET_S) * 1000)))
    assert isinstance(found, list)
    return {tuple(one for one in e.labels if one[0] != "__name__"): e.value for e in found}


S = (("instance", "s-1"), ("job", "rag"), ("service", "s"))


def test_a_target_has_labels_of_its_own_and_those_it_exposes_are_kept_aside() -> None:
    store = SeriesStore()
    Scraped(store, OFFSET_S).take(Round(5.0, (look([("m", {"instance": "x", "a": "b"}, 3.0)]),), [("client_offered_total", {}, 7.0)]))
    assert ask(store, "m", 5) == {(("a", "b"), ("exported_instance", "x"), *S): 3.0}
    assert ask(store, 'up{service="s"}', 5) == {S: 1.0}
    assert ask(store, "scrape_duration_seconds", 5) == {S: 0.25}
    assert ask(store, 'client_offered_total{job="client"}', 5) == {(("instance", "client"), ("job", "client"), ("service", "client")): 7.0}


def test_a_target_that_fails_is_down_and_its_series_end() -> None:
    store = SeriesStore()
    scraped = Scraped(store, OFFSET_S)
    scraped.take(Round(5.0, (look([("m", {}, 3.0), ("n", {}, 1.0)]),)))
    scraped.take(Round(6.0, (look([("m", {}, 4.0)]),)))
    assert (ask(store, "m", 6), ask(store, "n", 6), ask(store, "n", 5)) == ({S: 4.0}, {}, {S: 1.0})
    scraped.take(Round(7.0, (look([], error="refused"),)))
    assert (ask(store, "m", 7), ask(store, "up", 7)) == ({}, {S: 0.0})
    scraped.take(Round(8.0, ()))
    assert ask(store, "up", 8) == {}


@pytest.mark.parametrize(("url", "exporter"), [("postgresql://x", "pg_up"), ("redis://x", "redis_up"), ("valkey://x", "redis_up")])
def test_a_direct_probe_says_what_exporters_would(url: str, exporter: str) -> None:
    store = SeriesStore()
    Scraped(store, OFFSET_S).take(Round(5.0, (look([], error="timeout", url=url),)))
    labels = (("instance", "s-1"), ("job", "probe"), ("service", "s"))
    assert (ask(store, "probe_success", 5), ask(store, exporter, 5), ask(store, "up", 5)) == ({labels: 0.0}, {labels: 0.0}, {})


def test_only_what_rules_ask_for_is_kept() -> None:
    assert wanted_metrics(read_text(TEAM, "team.yml")) == {"rag_client_requests_total", "callee:fails", "rag_requests_total"}
    assert wanted_metrics(read_text("groups: [{name: a, rules: [{alert: A, expr: '{job=\"rag\"}'}]}]", "r.yml")) is None


LEARNT = """
groups:
  - name: learnt
    rules:
      - alert: LatencyUnusual
        expr: probe_duration_seconds:anomaly > 0.5
        labels: {severity: warning}
"""


def test_a_threshold_that_learns() -> None:
    """Nobody said what is slow: the detector did, of the one that became slow."""
    alerts, random = RuleAlerts(read_text(LEARNT, "learnt.yml"), 1.0, OFFSET_S), Random(3)
    fired: list[tuple[float, str]] = []
    for n in range(420):
        slow_s = 0.3 if n >= 400 else 0.0
        usual_s = [random.gauss(0.05, 0.002) for _ in range(2)]
        looks = tuple(
            Look(Endpoint(service, f"{service}-1", "redis://a"), usual_s[k] + (slow_s if service == "cache" else 0.0))
            for k, service in enumerate(("cache", "other"))
        )
        fired += [(float(n), one.labels["service"]) for one in alerts.changes(Round(float(n), looks)) if one.ends_at_s is None]
    assert [one for one in fired if one[0] >= 400] == [(400.0, "cache")] and len(fired) <= 2


class Above:
    """A detector for tests: what is above ten is anomalous."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def update(self, t_s: float, value: float) -> float:
        self.seen.append(value)
        return float(value > 10)


def test_a_point_is_scored_once_and_scores_end_with_their_series() -> None:
    store, made = SeriesStore(), list[Above]()

    def make(name: str) -> Above:
        made.append(Above())
        return made[-1]

    anomalies = Anomalies(store, frozenset({"m:anomaly"}), make=make)
    series = labels_of({"__name__": "m", "a": "b"})
    store.append(series, 1000, 5.0)
    anomalies.step(1000)
    anomalies.step(2000)
    store.append(series, 3000, 50.0)
    anomalies.step(3000)
    score = parse("m:anomaly")
    assert [evaluate(score, Moment(store, t)) for t in (2000, 3000)] == [
        [(labels_of({"__name__": "m:anomaly", "a": "b"}), 0.0)],
        [(labels_of({"__name__": "m:anomaly", "a": "b"}), 1.0)],
    ]
    assert made[-1].seen == [5.0, 50.0]
    store.end([series], 4000)
    anomalies.step(4000)
    assert evaluate(score, Moment(store, 4000)) == []


def test_a_detector_that_is_not_there_is_refused() -> None:
    groups = read_text("groups: [{name: a, rules: [{alert: A, expr: 'up:anomaly:nobody > 0.5'}]}]", "r.yml")
    with pytest.raises(UnknownDetectorError, match="nobody"):
        RuleAlerts(groups, 1.0, OFFSET_S)
    assert any("no detector 'nobody'" in str(one) for one in check(groups))


def test_people_are_told_and_who_says_so_in_time_is_not_escalated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.ops.alerting.notifier.LAST_PATIENCE_S", 0.5)
    world, clock, log = World(tmp_path), FakeClock(), list[dict[str, object]]()
    notify = read_notify({**HOOK, "escalate_after": {"critical": "5s"}, "escalate_to": ["boss"]}, tmp_path, 1.0)
    ear = Ear(world)
    notifier = Notifier(ear, notify, OFFSET_S, clock, lambda document: log.append(dict(document)))
    operator = Operator(world.targets, notifier, SymptomRules(latency_limit_s=0.8))

    def rounds(n: int) -> None:
        for _ in range(n):
            operator.round(round_ := world.step())
            notifier.tick(round_.t_s)

    rounds(20)
    world.down["cache-1"] = "refused"
    rounds(3)
    (fingerprint,) = notifier.desk.states()
    (tmp_path / "notifications/acknowledged" / fingerprint).touch()
    rounds(10)
    world.down["retrieval-1"] = "refused"
    rounds(12)
    notifier.close()
    kept = [json.loads(path.read_text()) for path in sorted((tmp_path / "notifications").glob("*.json"))]
    told = [(one["channel"], [a["labels"]["service"] for a in one["body"]["alerts"]], one["body"]["escalation"]) for one in kept]
    assert told == [("ops", ["cache"], False), ("ops", ["retrieval"], False), ("boss", ["retrieval"], True)]
    assert {"what": "acknowledged", "fingerprint": fingerprint} in log
    assert ear.of("firing") == ["InstanceDown cache", "InstanceDown retrieval"], "the run hears the same"


HOOK = {"channels": {name: {"webhook": {"url": "http://127.0.0.1:1/"}} for name in ("ops", "boss")}}
