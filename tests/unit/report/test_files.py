"""What is written into the run directory: JSON, JUnit and HTML, from whole records, cut ones and hostile ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from harness.gate import Verdict
from harness.record import events as ev
from harness.record.history import History
from harness.report import html, junit, verdict_json
from harness.report.material import Material
from harness.score.check import Result, Status
from tests.unit.report import sample

EVIL = "<script>alert(1)</script>\"'&]]>\x1b[31m\x00\u202e<img src=http://evil.example/x>"
CLEANED = "&lt;script&gt;alert(1)&lt;/script&gt;"
EMPTY = History()
CUT = sample.history(events=tuple(sample.events()[:9]), damage=("0000.seg: the last frame is torn",))


WORDS = (
    "✗ FAIL", "llm-brownout", "98.1% breaks >= 99%", "1 failed, 1 inconclusive, 1 with a warning, 6 passed", "seed 7",
    "+6s (LatencyHigh)", "switch_provider generation +10.8s", "llm/latency +8.8s", "recovered", "fault.availability",
    "97.05% to 98.85%", "timeout 5", "gauntlet run scenarios/llm-brownout.yaml --seed 7", "0123456789abcdef",
    "(with uncommitted changes)", "locust 2.47.0", "phase steady_state: 10.0s to 35.0s",
    "alert LatencyHigh llm: received 41.2s, resolved 62.0s", "offered 25/s", "steady_state: latency_p95 <= 800ms",
)  # fmt: skip


class Page(HTMLParser):
    """Collects what a browser would do with the page."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.extend(attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.extend(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(verdict: Verdict | None = None, history: History | None = None) -> tuple[str, Page]:
    text = html.render(verdict or sample.verdict(), history or sample.history(), sample.scenario())
    return text, Page(text)


def hostile() -> tuple[Verdict, History]:
    """Every text that comes from outside is an attack."""
    events = [e for e in sample.events() if e.kind not in (ev.ALERT, ev.DIAGNOSIS, ev.ACTION)]
    events += [
        sample.event(40, ev.ALERT, "claim", status="firing", fingerprint=EVIL, labels={"alertname": EVIL, "service": "llm"}),
        sample.event(41, ev.DIAGNOSIS, "claim", diagnosis_id=EVIL, causes=[{"service": EVIL, "kind": EVIL, "evidence": EVIL}]),
        sample.event(42, ev.ACTION, "claim", action_id=EVIL, step="requested", verb=EVIL, service=EVIL),
        sample.event(43, ev.ACTION, "truth", action_id=EVIL, step="failed", detail=EVIL),
        sample.event(44, ev.ESCALATION, "claim", service=EVIL, reason=EVIL),
    ]
    result = Result(EVIL, EVIL, Status.FAIL, EVIL, EVIL, EVIL, EVIL, 1, None, (EVIL,))
    run = {**sample.RUN, "argv": [EVIL], "scenario_file": EVIL, "git": {"sha": EVIL}}
    history = sample.history(events=tuple(sorted(events, key=lambda e: e.t_ns)), run=run, damage=(EVIL,))
    return Verdict(Status.FAIL, 1, EVIL, (result,)), history


def test_page_is_one_file_without_scripts_or_resources() -> None:
    text, parsed = page()
    assert parsed.open == []
    assert not parsed.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not [value for name, value in parsed.attributes if name in ("src", "srcset", "action") or name.startswith("on")]
    assert not [value for name, value in parsed.attributes if name == "href" and not str(value).startswith("#")]
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_page_tells_the_whole_story() -> None:
    _, parsed = page()
    for words in WORDS:
        assert words in parsed.text, words
    assert "fault: latency_p95 <= 7s" not in parsed.text, "a limit far beyond the highest value is not drawn"
    assert parsed.text.index("fault.availability") < parsed.text.index("recovery.latency_p99.9") < parsed.text.index("fault.latency_p95")


def test_page_draws_every_lane_and_panel() -> None:
    text, _ = page()
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    root = ET.fromstring(svg)
    classes = " ".join(e.get("class", "") for e in root.iter())
    for css in (
        "phase",
        "fault-window",
        "fault",
        "alert",
        "diagnosis",
        "action-ok",
        "offered",
        "served",
        "p50",
        "p95",
        "p99",
        "limit-line",
    ):
        assert re.search(rf"\b{css}\b", classes), css
    for outcome in ("error", "timeout", "rejected", "truncated"):
        assert f"fill outcome-{outcome}" in classes


def test_hostile_texts_stay_texts() -> None:
    verdict, history = hostile()
    text, parsed = page(verdict, history)
    assert parsed.open == []
    assert not parsed.tags & {"script", "img"}
    assert CLEANED in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


def test_hostile_texts_in_xml_and_json() -> None:
    verdict, history = hostile()
    root = ET.fromstring(junit.render(verdict, history, sample.scenario()))
    failure = root.findall(".//failure")[1]
    assert "<script>alert(1)</script>" in (failure.get("message") or "")
    document = json.loads(verdict_json.render(verdict, history, sample.scenario()))
    assert document["checks"][0]["name"] == EVIL


@pytest.mark.parametrize("history", [EMPTY, CUT, sample.history(run={})], ids=["empty", "cut", "without facts"])
def test_any_record_can_be_reported(history: History) -> None:
    verdict = Verdict(Status.INCONCLUSIVE, 3, "the record ends inside fault", ())
    _, parsed = page(verdict, history)
    assert "INCONCLUSIVE" in parsed.text
    assert ET.fromstring(junit.render(verdict, history, sample.scenario())).get("errors") == "1"
    jsonschema.validate(json.loads(verdict_json.render(verdict, history, sample.scenario())), verdict_json.json_schema())


def test_a_cut_record_is_announced() -> None:
    _, parsed = page(history=CUT)
    assert "The record is not whole" in parsed.text
    assert "0000.seg: the last frame is torn" in parsed.text
    assert "the record ends inside it" in parsed.text


def test_bytes_depend_on_the_record_alone() -> None:
    for render in (html.render, junit.render, verdict_json.render):
        once: Any = render(sample.verdict(), sample.history(), sample.scenario())
        assert once == render(sample.verdict(), sample.history(), sample.scenario())


def test_verdict_document_follows_its_schema() -> None:
    document = json.loads(verdict_json.render(sample.verdict(), sample.history(), sample.scenario()))
    schema = verdict_json.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert set(document) <= set(schema["properties"])
    assert document["checks"] == [json.loads(json.dumps(r.to_json())) for r in sample.RESULTS]
    assert document["run"] == {
        "seed": 7,
        "scenario_sha256": "ab" * 32,
        "git_sha": sample.RUN["git"]["sha"],  # type: ignore[index]  # the sample's own dict
        "git_dirty": True,
        "started": "2026-08-01T10:00:00.123456+00:00",
        "baseline": None,
        "reproduce": "gauntlet run scenarios/llm-brownout.yaml --seed 7",
    }
    assert document["faults"][0]["outcome"] == "recovered"


def test_numbers_that_json_cannot_hold_are_null() -> None:
    nan = Result("a.b", "objective", Status.FAIL, "", float("nan"), "<= 1s", "s", 1, (float("-inf"), float("inf")))
    document = json.loads(verdict_json.render(sample.verdict((nan,)), sample.history(), sample.scenario()))
    assert (document["checks"][0]["value"], document["checks"][0]["interval"]) == (None, [None, None])


def test_junit_maps_statuses_and_counts_them() -> None:
    root = ET.fromstring(junit.render(sample.verdict(), sample.history(), sample.scenario()))
    suite = root.find("testsuite")
    assert suite is not None
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time", "timestamp")}
    assert counted == {"tests": "10", "failures": "2", "errors": "1", "skipped": "0", "time": "100.000", "timestamp": "2026-08-01T10:00:00"}
    outcomes = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert outcomes["verdict"] == ["failure"]
    assert outcomes["fault.availability"] == ["failure"]
    assert outcomes["recovery.latency_p99.9"] == ["error"]
    assert outcomes["recovery.latency_p95"] == ["system-out"]
    assert all(set(case.attrib) == {"classname", "name", "time"} for case in suite.findall("testcase"))


def test_junit_of_a_batch_with_scenarios_that_never_started() -> None:
    passed = replace(sample.verdict(()), status=Status.PASS, exit_code=0, reason="all 0 checks")
    root = ET.fromstring(junit.render_all([Material(passed, sample.history(), sample.scenario())], not_run=["null"]))
    assert [(s.get("name"), s.get("tests"), s.get("skipped")) for s in root] == [("llm-brownout", "1", "0"), ("null", "1", "1")]
    assert (root.get("tests"), root.get("skipped")) == ("2", "1")
    assert root.find(".//testcase/skipped") is not None
