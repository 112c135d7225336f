"""An operator in a process of its own: its claims and actions end up in a journal that reads back as views."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.inbox import Inbox
from harness.record import views
from harness.record.clock import SystemClock
from harness.record.journal import Journal, read_journal
from tests.unit.inbox.stacks import AbleStack

OPERATOR = """
import json, sys, threading, time, urllib.request

def call(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(sys.argv[1] + path, data, {"authorization": "Bearer secret", "content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=10))

def storm(number):
    for turn in range(10):
        labels = {"alertname": f"A{number}", "turn": str(turn), "service": "llm"}
        call("/claims/alerts", {"version": "4", "alerts": [{"status": "firing", "labels": labels}]})

threads = [threading.Thread(target=storm, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
diagnosis = call("/claims/diagnoses", {"causes": [{"service": "llm", "kind": "latency", "confidence": 0.8}]})["diagnosis_id"]
action = call("/actions", {"verb": "switch_provider", "service": "llm", "diagnosis_id": diagnosis})["action_id"]
while call("/actions/" + action)["status"] == "requested":
    time.sleep(0.01)
"""


@pytest.mark.e2e
def test_a_storm_of_alerts_a_diagnosis_and_an_action_are_all_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    stack = AbleStack()
    with Inbox(stack, journal.append, SystemClock(), "secret") as inbox:
        subprocess.run([sys.executable, "-c", OPERATOR, inbox.url], check=True, timeout=60)
    journal.close()
    events = tuple(read_journal(tmp_path / "events.jsonl"))
    assert len(views.alerts(events)) == len({a.fingerprint for a in views.alerts(events)}) == 80
    (action,) = views.actions(events)
    assert (action.verb, action.status, action.diagnosis_id) == ("switch_provider", "performed", "d-1")
    assert stack.calls == [("configure", {"llm_provider": "llm_fallback"})]
    received = [e.t_ns for e in events if e.kind != "action"]
    assert max(received) <= action.t_ns <= (action.done_ns or 0)
