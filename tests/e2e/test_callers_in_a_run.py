"""A run that asks how its stack treats the providers: their journals are in the record, and the check is judged from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.record import store
from harness.record.provider import OWN_USER_AGENT
from tests.e2e.conftest import StartRun
from tests.e2e.live_run import STACK, gauntlet

SCENARIO = f"""
name: provider-limits-us
hypothesis: When the provider limits our rate, it is asked again when it said, and seldom.
{STACK}
load: {{shape: [{{constant: 12/s}}], mix: {{ask: 2, ask_stream: 1}}, timeout: 10s}}
phases: {{warmup: 4s, steady_state: 6s, fault: 9s, recovery: 3s}}
faults:
  - {{id: limited, type: llm.rate_limited, target: llm, at: fault, for: 8s, with: {{rate: 2/s, burst: 2}}}}
expect:
  - {{callers: {{amplification: "<= 4"}}}}
objectives:
  fault: {{availability: ">= 80%"}}
"""
NAMES = ("expect.run.callers", "expect.run.callers.amplification")


def of_callers(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in verdict["checks"] if c["name"] in NAMES}


@pytest.mark.e2e
def test_callers_are_judged_by_the_journals_in_the_record(start_run: StartRun, tmp: Path) -> None:
    run = start_run(SCENARIO, "--json")
    _, out = run.finish(120)
    checks = of_callers(json.loads(out))
    assert {name: c["status"] for name, c in checks.items()} == dict.fromkeys(NAMES, "PASS"), json.dumps(checks, indent=1)
    assert 1 <= checks[NAMES[1]]["value"] <= 4
    assert NAMES[0] in (run.record / "junit.xml").read_text(encoding="utf-8")
    assert "occasions to misbehave" in (run.record / "report.html").read_text(encoding="utf-8")

    journals = {j.service: j for j in store.read(run.record).providers}
    assert set(journals) == {"llm", "llm_fallback"}
    assert all(j.missing == () and j.rows for j in journals.values())
    refused = [row for row in journals["llm"].rows if row.status == 429]
    assert refused and all(row.fault_types == {"rate_limited"} and row.retry_after_s for row in refused)
    assert any(row.user_agent == OWN_USER_AGENT for row in journals["llm"].rows), "the harness names itself"
    assert all(row.trace_id for row in refused if row.user_agent != OWN_USER_AGENT)

    text = "".join(file.read_text(encoding="utf-8") for file in (run.record / "provider").iterdir())
    assert "sk-" not in text, "a provider's key is in the record"

    cut = tmp / "cut"
    shutil.copytree(run.record, cut)
    file = cut / "provider" / "llm.jsonl"
    file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    again = gauntlet("judge", cut, "--json", tmp=tmp)
    assert again.returncode == 3, again.stderr
    for check in of_callers(json.loads(again.stdout)).values():
        assert (check["status"], check["reason"]) == (
            "INCONCLUSIVE",
            "rows are missing from the providers' journals: llm: the journal was cut",
        )
