"""A Grafana dashboard of rules: for each alert what it looks at, and the line that it must not cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.ops.alerting.promql.parse import compared
from harness.ops.alerting.rules.model import AlertRule, Group

SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDE, HIGH, ROW = 8, 7, 1
_COLOURS = {"info": "blue", "warning": "yellow", "error": "orange", "critical": "red"}


def dashboard(groups: Sequence[Group], title: str = "Alerts") -> dict[str, Any]:
    """The JSON model of a dashboard (schema 39): a row a group, a panel an alert."""
    panels: list[dict[str, Any]] = []
    y = 0
    for group in groups:
        alerts = [rule for rule in group.rules if isinstance(rule, AlertRule)]
        if not alerts:
            continue
        panels.append({"type": "row", "title": group.name, "collapsed": False, "panels": [], "gridPos": _at(0, y, 24, ROW)})
        y += ROW
        for n, rule in enumerate(alerts):
            panels.append(_panel(rule, _at(n % 3 * WIDE, y + n // 3 * HIGH, WIDE, HIGH)))
        y += (len(alerts) + 2) // 3 * HIGH
    return {
        "uid": "rag-alerts",
        "title": title,
        "tags": ["rag", "alerts"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "enable": True,
                    "iconColor": "red",
                    "datasource": SOURCE,
                    "expr": 'ALERTS{alertstate="firing"}',
                    "titleFormat": "{{alertname}}",
                    "textFormat": "{{service}} {{instance}}",
                }
            ]
        },
        "panels": [{"id": n, **panel} for n, panel in enumerate(panels, 1)],
    }


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(rule: AlertRule, at: dict[str, int]) -> dict[str, Any]:
    found = compared(rule.text)
    query, steps = (rule.text, [{"color": "green", "value": None}]) if found is None else (found.query, _steps(rule, found.op, found.limit))
    summary = rule.annotations["summary"].text if "summary" in rule.annotations else ""
    runbook = rule.annotations["runbook_url"].text if "runbook_url" in rule.annotations else ""
    return {
        "type": "timeseries",
        "title": rule.alert,
        "description": f"{summary}\n\nFires after {rule.for_s:g}s. {runbook}".strip(),
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {
            "defaults": {
                "custom": {"drawStyle": "line", "showPoints": "never", "thresholdsStyle": {"mode": "line" if found else "off"}},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": "A", "expr": query, "datasource": SOURCE}],
    }


def _steps(rule: AlertRule, op: str, limit: float) -> list[dict[str, Any]]:
    """Green on the good side of the limit."""
    bad = _COLOURS[rule.severity]
    below, above = (bad, "green") if op in ("<", "<=") else ("green", bad)
    return [{"color": below, "value": None}, {"color": above, "value": limit}]
