"""Rules live as they do in a real Prometheus: `promtool test rules` agrees on every alert of every evaluation, and on its texts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from harness.ops.alerting.promql.series import SeriesStore, labels_of
from harness.ops.alerting.rules.engine import FIRING, RuleEngine
from harness.ops.alerting.rules.reading import read_text
from tests.integration.prometheus import check_rules

STEP_S = 15
STEPS = 40
RULES = """
groups:
  - name: recorded
    rules:
      - {record: "job:level:max", expr: max by (job) (level), labels: {by: rule}}
      - {record: "job:count:rate1m", expr: 'sum by (job) (rate(count_total[1m]))'}
  - name: alerts
    rules:
      - {alert: Now, expr: level > 3, labels: {severity: "{{ if_large }}"}}
      - {alert: Lasting, expr: level > 3, for: 45s, labels: {severity: critical, job: "{{ $labels.job | toUpper }}"}}
      - alert: Kept
        expr: "job:level:max > 3"
        for: 30s
        keep_firing_for: 45s
        annotations:
          text: "{{ $labels.job }}: {{ $value }}, {{ $value | humanize }}, {{ printf \\"%.2f of %s\\" $value $labels.by }}"
      - alert: Counted
        expr: "job:count:rate1m > 0.2"
        annotations:
          text: '{{- $value | humanizePercentage }} {{ humanizeDuration $value }}{{ .Labels.no }}'
          more: '{{ humanize1024 $value -}} {{ index $labels "job" }}'
      - {alert: Gone, expr: 'absent(level{job="a"})', for: 15s, labels: {severity: warning}}
      - {alert: Chained, expr: 'ALERTS{alertname="Lasting", alertstate="firing"}'}
      - alert: Odd
        expr: level / 0 > 0 or level < -1e5
        annotations: {text: "{{ $value }} {{ $value | humanize }} {{ $value | humanizeDuration }}"}
""".replace("{{ if_large }}", "warning")


def values(rng: random.Random, *, counter: bool) -> list[float | str]:
    """Of one series, with gaps and ends; a counter is reset now and then."""
    found: list[float | str] = []
    count = 0.0
    for _ in range(STEPS):
        choice = rng.random()
        if choice < 0.1:
            found.append("_" if choice < 0.06 else "stale")
        elif counter:
            count = 0.0 if choice < 0.14 else count + rng.choice([0, 0, 3, 40])
            found.append(count)
        else:
            found.append(rng.choice([0.0, 2.0, 3.5, 4.0, 12345.678, -123456.0, 1e21, 0.00001]))
    return found


def world(seed: int) -> dict[str, list[float | str]]:
    rng = random.Random(seed)
    names = [f'{name}{{job="{job}"}}' for name in ("level", "count_total") for job in ("a", "b")]
    return {name: values(rng, counter=name.startswith("count")) for name in names}


def firing(series: dict[str, list[float | str]]) -> list[dict[str, list[dict[str, Any]]]]:
    """What our engine says at each evaluation: alerts by name."""
    store = SeriesStore()
    engine = RuleEngine(read_text(RULES, "rules.yml"), store)
    said = []
    for n in range(STEPS):
        t_ms = n * STEP_S * 1000
        for text, points in series.items():
            name, _, job = text.rstrip('"}').partition('{job="')
            labels = labels_of({"__name__": name, "job": job})
            if points[n] == "stale":
                store.end([labels], t_ms)
            elif points[n] != "_":
                store.append(labels, t_ms, float(points[n]))
        now = [one for one in engine.step(t_ms) if one.state == FIRING]
        names = [rule.alert for rule in engine.groups[1].rules]  # type: ignore[union-attr]
        said.append(
            {
                name: [
                    {"exp_labels": {k: v for k, v in one.labels if k != "alertname"}, "exp_annotations": dict(one.annotations)}
                    for one in now
                    if one.rule.alert == name
                ]
                for name in names
            }
        )
    return said


def document(seeds: range) -> dict[str, Any]:
    """The test file of promtool that expects what we say."""
    tests = []
    for seed in seeds:
        series = world(seed)
        expected = [
            {"eval_time": f"{n * STEP_S}s", "alertname": name, "exp_alerts": alerts}
            for n, said in enumerate(firing(series))
            for name, alerts in said.items()
        ]
        inputs = [{"series": name, "values": " ".join(map(str, points))} for name, points in series.items()]
        tests.append({"name": f"seed {seed}", "interval": f"{STEP_S}s", "input_series": inputs, "alert_rule_test": expected})
    order = ["recorded", "alerts"]  # a server runs groups side by side, in no order
    return {"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP_S}s", "group_eval_order": order, "tests": tests}


def test_promtool_expects_the_same_alerts(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    expected = document(range(10))
    counts = [len(one["exp_alerts"]) for test in expected["tests"] for one in test["alert_rule_test"]]
    assert sum(counts) > 1000 and counts.count(0) > 500
    assert check_rules(expected, tmp_path) == ""


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """Of the same document, one alert that was said is not expected."""
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    expected = document(range(1))
    said = next(one for one in expected["tests"][0]["alert_rule_test"] if one["alertname"] == "Kept" and one["exp_alerts"])
    said["exp_alerts"] = []
    assert "Kept" in check_rules(expected, tmp_path)
