"""The step that proves alerts: what it refuses before anything starts, and what follows from what its channel was told."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.lifecycle.checking import check_loaded
from harness.pipeline.step import Context
from harness.pipeline.steps.monitor import alerts
from harness.pipeline.steps.monitor.alerts import Alerts, carry_out, scenario
from harness.pipeline.steps.monitor.channel import Notified, opened, proved
from harness.pipeline.steps.monitor.on_call import installed
from harness.record.clock import SystemClock
from harness.scenario.loader import load_text
from harness.score.check import Status

DOWN = {"alertname": "InstanceDown", "instance": "retrieval-2"}
SECOND = 1_000_000_000


def rule(expr: str, lasts: str = "5s", name: str = "InstanceDown") -> str:
    labels = {"severity": "critical", "service": "retrieval"}
    return yaml.safe_dump({"groups": [{"name": "own", "rules": [{"alert": name, "expr": expr, "for": lasts, "labels": labels}]}]})


def context(tmp_path: Path) -> Context:
    directory = tmp_path / "step"
    directory.mkdir()
    return Context(directory, tmp_path, dict(os.environ), {}, lambda _line: None, lambda: False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (rule("rag_requests_totl > 1"), "a rule that can never fire: own.yml:"),
        (rule("up == 0", lasts="2m"), "InstanceDown can never fire in time: its `for` of 120s, compressed 2 times, is no less than 25s"),
        (rule("vector(1) > 2"), "looks at no series: it always fires, or never"),
        (rule("up == 0", name="Other"), "no rule tells InstanceDown; there are Other"),
        ("groups: [", "the rules cannot be read"),
    ],
)
def test_a_rule_that_can_never_fire_is_told_before_anything_starts(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.yml").write_text(text, encoding="utf-8")
    result = carry_out(Alerts(rules=[Path("own.yml")]), context(tmp_path))
    assert result.status is Status.FAIL
    assert said in result.reason
    assert not (tmp_path / "step" / "runs").exists()


def test_rules_that_come_along_and_are_too_slow_for_a_proof_are_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_run", lambda *_: None)
    monkeypatch.setattr(alerts, "_judged", lambda *_: (Status.PASS, "proved", None))
    found = carry_out(Alerts(), context(tmp_path)).findings
    assert {f.level for f in found if f.rule == "monitor.silent_rule"} == {"note"}


def test_what_it_runs_is_a_valid_scenario(tmp_path: Path) -> None:
    loaded = load_text(yaml.safe_dump(scenario(Alerts(), tmp_path / "install.json")))
    assert [str(p) for p in check_loaded(loaded) if p.severity == "error"] == []


def at(t_s: float, status: str = "firing", labels: dict[str, str] = DOWN) -> Notified:
    return Notified(round(t_s * SECOND), status, labels["alertname"], labels)


@pytest.mark.parametrize(
    ("seen", "status", "said"),
    [
        ([at(12), at(40, "resolved")], Status.PASS, "reached its channel 2.0s after the onset, and was resolved 10.0s after the heal"),
        ([], Status.FAIL, "InstanceDown did not reach its channel; alerts that did: none"),
        ([at(12, labels={"alertname": "Else"})], Status.FAIL, "alerts that did: Else"),
        ([at(5), at(12), at(40, "resolved")], Status.FAIL, "fired before anything was broken"),
        ([at(35), at(40, "resolved")], Status.FAIL, "after 25.0s, later than 20s"),
        ([at(12)], Status.FAIL, "never resolved"),
        ([at(12), at(40, "resolved", {**DOWN, "instance": "query-1"})], Status.FAIL, "never resolved"),
    ],
)
def test_what_follows_from_what_the_channel_was_told(seen: list[Notified], status: Status, said: str) -> None:
    found, reason = proved(seen, frozenset({"InstanceDown"}), 10 * SECOND, 30 * SECOND, 20.0)
    assert found is status
    assert said in reason


@pytest.mark.parametrize(("onset", "healed"), [(None, None), (10 * SECOND, None)])
def test_a_fault_that_did_not_bite_or_heal_proves_nothing(onset: int | None, healed: int | None) -> None:
    assert proved([at(12)], frozenset({"InstanceDown"}), onset, healed, 20.0)[0] is Status.INCONCLUSIVE


def test_the_channel_takes_what_alertmanager_sends_and_nothing_else() -> None:
    def post(url: str, body: bytes) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    body: dict[str, Any] = {"status": "firing", "alerts": [{"status": "firing", "labels": DOWN}]}
    with opened(SystemClock()) as channel:
        assert post(channel.url, json.dumps(body).encode()) == 200
        assert post(channel.url, b"[]") == post(channel.url, b"no") == 400
        assert [(one.status, one.alert) for one in channel.seen] == [("firing", "InstanceDown")]


def test_rules_and_channel_are_laid_over_the_operators_own_targets(tmp_path: Path) -> None:
    (tmp_path / "install.json").write_text(json.dumps({"rules": ["/r.yml"], "webhook": "http://127.0.0.1:1/a"}), encoding="utf-8")
    (tmp_path / "targets.yaml").write_text("services: {gateway: {kind: http}}\ntoken: t\n", encoding="utf-8")
    path = installed(tmp_path / "install.json", tmp_path / "targets.yaml")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["rules"] == ["/r.yml"]
    assert document["notify"]["channels"] == {"proof": {"webhook": {"url": "http://127.0.0.1:1/a"}}}
    assert document["token"] == "t"
    assert path.stat().st_mode & 0o077 == 0
