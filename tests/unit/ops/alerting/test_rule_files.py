"""Rule files: what is wrong with one is told at once, with its place; and what could never fire."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.ops.alerting.rules.checking import check
from harness.ops.alerting.rules.dashboard import dashboard
from harness.ops.alerting.rules.model import AlertRule, RecordingRule
from harness.ops.alerting.rules.reading import RulesError, duration_s, read, read_text
from harness.ops.alerting.rules.shipped import shipped_text
from harness.ops.alerting.rules.template import Template, TemplateError, number_text

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = read_text(shipped_text(), "default.yml")
ALERTS = [rule for group in SHIPPED for rule in group.rules if isinstance(rule, AlertRule)]

GOOD = """
groups:
  - name: one
    interval: 30s
    rules:
      - {record: "a:b", expr: sum(a), labels: {c: d}}
      - alert: High
        expr: |
          a:b
            > 3
        for: 1m30s
        keep_firing_for: 500ms
        labels: {severity: error, service: x}
        annotations: {summary: "{{ $value }}"}
"""


def test_a_file_is_read() -> None:
    (group,) = read_text(GOOD, "r.yml")
    record, alert = group.rules
    assert (group.name, group.interval_s) == ("one", 30.0)
    assert isinstance(record, RecordingRule) and (record.record, dict(record.labels)) == ("a:b", {"c": "d"})
    assert isinstance(alert, AlertRule) and (alert.alert, alert.for_s, alert.keep_firing_for_s, alert.severity) == (
        "High",
        90.0,
        0.5,
        "error",
    )
    assert str(alert.place) == "r.yml:7:9"


BAD = """groups:
  - name: one
    rules:
      - alert: A
        expr: rate(x) > 3
        for: ten
      - alert: B
        expr: |
          sum(x) >
            max_over_time(y[5m:1m])
        lables: {a: b}
      - expr: x
      - {record: c, expr: x, for: 1m}
      - {alert: D, expr: x, annotations: {summary: "{{ if $value }}x{{ end }}"}}
  - name: one
    limit: 3
"""


def test_all_that_is_wrong_is_told_with_its_place() -> None:
    with pytest.raises(RulesError) as refused:
        read_text(BAD, "r.yml")
    told = str(refused.value).splitlines()
    places = [line.split(": ")[0] for line in told]
    assert places == [f"r.yml:{place}" for place in ("2:5", "5:15", "6:14", "10:31", "11:9", "12:9", "13:35", "14:52", "16:12")]
    refusals = (
        "two groups",
        "expected type matrix",
        "'ten' is no duration",
        "a subquery",
        "no key 'lables'",
        "either",
        "no `for`",
        "if",
        "limit",
    )
    for words in refusals:
        assert any(words in line for line in told), words


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("", "r.yml:1:1", "holds no rules"),
        ("groups: 3", "r.yml:1:9", "must be a list"),
        ("rules: []", "r.yml:1:1", "no key 'rules'"),
        ("groups:\n  - {name: a, rules: [{alert: 1, expr: [}]}", "r.yml:2:41", "no YAML"),
        ("groups: [{name: a, rules: [{alert: X, expr: '\"s\"'}]}]", "r.yml:1:45", "a text is no expression"),
        ("groups: [{name: a, rules: [{record: 'a b', expr: x}]}]", "r.yml:1:37", "no name of a metric"),
        ("groups: [{rules: []}]", "r.yml:1:10", "needs a `name`"),
    ],
)
def test_files_that_are_none(text: str, place: str, why: str) -> None:
    with pytest.raises(RulesError, match=why) as refused:
        read_text(text, "r.yml")
    assert str(refused.value).startswith(place)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="cannot be read"):
        read(tmp_path / "no.yml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("15s", 15.0), ("1h30m", 5400.0), ("1d", 86400.0), ("500ms", 0.5), ("", None), ("5", None), ("1m1h", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ $value ", "without"),
        ("{{ query `x` }}", "query is not known"),
        ("{{ . }}", "not known"),
        ('{{ printf "%d" $value }}', "%f"),
        ('{{ printf "%f" }}', "1 verbs"),
        ("{{ humanize }}", "takes 1 argument"),
        ("{{ $value | }}", "nothing stands"),
        ("{{ }}", "nothing"),
        ("{{ $value humanize }}", "a function comes first"),
    ],
)
def test_texts_that_cannot_be_expanded(text: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        Template.of(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(3.0, "3"), (0.1, "0.1"), (-2.5, "-2.5"), (0.0, "0"), (float("inf"), "+Inf"), (float("nan"), "NaN")],
        *[(1e20, "100000000000000000000"), (1e21, "1e+21"), (0.0001, "0.0001"), (1e-5, "1e-05"), (1.5e-7, "1.5e-07")],
    ],
)
def test_numbers_are_written_as_go_does(value: float, text: str) -> None:
    assert number_text(value) == text


def test_the_shipped_rules_are_those_of_the_container_stack() -> None:
    deployed = ROOT / "mocks/rag/deploy/prometheus/rules.yml"
    assert deployed.read_text(encoding="utf-8") == shipped_text(), "stale: run pipelines/docs"


def test_every_shipped_alert_has_a_runbook() -> None:
    headings = {
        line[4:].strip().lower() for line in (ROOT / "docs/alerts.md").read_text(encoding="utf-8").splitlines() if line.startswith("### ")
    }
    for rule in ALERTS:
        assert rule.annotations["runbook_url"].text.endswith(f"docs/alerts.md#{rule.alert.lower()}")
    assert {rule.alert.lower() for rule in ALERTS} == headings


def test_the_shipped_rules_are_doubted_only_where_an_exporter_is_needed() -> None:
    assert {one.message.split(" is of ")[1] for one in check(SHIPPED)} == {"cAdvisor", "node_exporter"}


def doubts(rules: str, **asked: float) -> list[str]:
    groups = read_text(f"groups:\n  - name: a\n    rules:\n{rules}", "r.yml")
    return [f"{one.message}; {one.hint}" for one in check(groups, **asked)]


FINE = "      - {alert: A, expr: 'sum by (service) (rate(rag_requests_total[1m])) > 3', for: 10s, labels: {severity: info}}\n"


def test_a_rule_that_can_fire_is_not_doubted() -> None:
    assert doubts(FINE, lasts_s=11.0) == []


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        ("rag_request_total > 3", "did you mean rag_requests_total"),
        ("sum by (service) (rate(rag_requests_total[1s])) > 3", "less than two scrapes"),
        ("sum(rate(rag_requests_total[1m])) > 3", "no label `service`"),
        ("absent(rag_requests_total)", "no label `service`"),
        ("sum without (service) (rag_requests_total)", "no label `service`"),
        ("rag_requests_total * on (route) rag_requests_total > 0", "no label `service`"),
        ("vector(1) > 0", "looks at no series"),
    ],
)
def test_doubts(expr: str, words: str) -> None:
    assert any(words in one for one in doubts(f"      - {{alert: A, expr: '{expr}', labels: {{severity: info}}}}\n"))


@pytest.mark.parametrize(
    "expr",
    [
        'label_replace(sum by (callee) (rate(rag_client_requests_total[1m])), "service", "$1", "callee", "(.+)") > 1',
        'absent(up{service="llm"})',
        "rag_pool_waiting > 0 and on (service) rag_pool_in_use > 1",
        "3 < rag_pool_waiting",
        "sum without (pool) (rag_pool_waiting) > 1",
        "rag_pool_waiting * on (pool) group_left (service) rag_pool_size > 1",
    ],
)
def test_alerts_that_name_a_service(expr: str) -> None:
    assert doubts(f"      - {{alert: A, expr: '{expr}', labels: {{severity: info}}}}\n") == []


def test_a_rule_that_is_too_slow_for_what_it_should_notice() -> None:
    (one,) = doubts(FINE, lasts_s=5.0)
    assert "never fire in time" in one and "a time_scale above 2 would do" in one
    assert doubts(FINE, lasts_s=5.0, time_scale=4.0) == []


def test_a_severity_of_ones_own() -> None:
    assert "counts as warning" in doubts(FINE.replace("info", "page"))[0]


def test_a_dashboard_shows_what_each_alert_looks_at_and_its_limit() -> None:
    shown = dashboard(SHIPPED)
    panels = {panel["title"]: panel for panel in shown["panels"]}
    assert {rule.alert for rule in ALERTS} <= panels.keys()
    cpu = panels["CpuHigh"]
    assert cpu["targets"][0]["expr"] == "rate(process_cpu_seconds_total[1m])"
    assert cpu["fieldConfig"]["defaults"]["thresholds"]["steps"] == [{"color": "green", "value": None}, {"color": "yellow", "value": 0.8}]
    hits = panels["CacheHitsLow"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert hits == [{"color": "yellow", "value": None}, {"color": "green", "value": 0.5}]
    taken = [
        (x, y)
        for p in shown["panels"]
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in _rows(p["gridPos"])
    ]
    assert len(taken) == len(set(taken)), "panels overlap"


def _rows(at: dict[str, int]) -> range:
    return range(at["y"], at["y"] + at["h"])
