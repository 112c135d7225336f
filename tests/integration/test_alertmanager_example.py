"""The program of docs/alertmanager.md, as it stands there: what the rules of a real Prometheus say arrives by a real Alertmanager."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.inbox import Inbox
from harness.lifecycle.oncall import inbox_document
from harness.record.clock import NS_PER_S, SystemClock
from harness.record.events import ALERT, Event
from tests.unit.inbox.stacks import AbleStack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "alertmanager.md"
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
RULES = {
    "groups": [
        {
            "name": "ours",
            "rules": [{"alert": "OurInstanceDown", "expr": 'up{job="rag"} == 0', "labels": {"severity": "critical"}}],
        }
    ]
}
_MANAGERS = ("alertmanager", "prometheus-alertmanager")


def test_the_program_can_be_read() -> None:
    ast.parse(PROGRAM)


@pytest.mark.skipif(
    not (shutil.which("prometheus") and any(map(shutil.which, _MANAGERS))), reason="prometheus and alertmanager are not installed here"
)
def test_an_alert_of_a_rule_file_is_a_claim_of_the_run(tmp_path: Path) -> None:
    events: list[Event] = []
    clock = SystemClock()
    registry = {"services": {"retrieval": [{"name": "retrieval-2", "url": "http://127.0.0.1:1"}]}}
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    (tmp_path / "on_call.py").write_text(PROGRAM)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(RULES))
    with Inbox(AbleStack(), lambda event: events.append(event) or event, clock, "secret") as inbox:  # type: ignore[func-returns-value]
        targets = {"registry": str(tmp_path / "registry.json"), "client": {"metrics": "http://127.0.0.1:1/metrics"}}
        (tmp_path / "targets.yaml").write_text(yaml.safe_dump({**targets, **inbox_document(inbox.url, "secret")}))
        argv = [sys.executable, str(tmp_path / "on_call.py"), str(tmp_path / "targets.yaml"), str(tmp_path / "rules.yml")]
        with (tmp_path / "log").open("wb") as log:
            program = subprocess.Popen(argv, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline_ns = clock.now_ns() + 90 * NS_PER_S
            while not events:
                assert program.poll() is None and clock.now_ns() < deadline_ns, (tmp_path / "log").read_text()[-3000:]
                clock.sleep(0.1)
        finally:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    alert = events[0]
    assert (alert.kind, alert.data["status"]) == (ALERT, "firing")
    assert alert.data["labels"] == {
        "alertname": "OurInstanceDown",
        "service": "retrieval",
        "instance": "retrieval-2",
        "job": "rag",
        "severity": "critical",
    }
