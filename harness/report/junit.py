"""JUnit XML (the xunit2 family that CI systems read): FAIL is a failure, INCONCLUSIVE an error, not run is skipped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.gate import Verdict
from harness.record.history import History
from harness.report.material import Material, dig, shown_value
from harness.report.series import length_s
from harness.scenario.model import Scenario
from harness.score.check import Result, Status

# What XML 1.0 cannot hold even as a reference.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(verdict: Verdict, history: History, scenario: Scenario) -> bytes:
    """The report of one run."""
    return render_all([Material(verdict, history, scenario)])


def render_all(materials: Sequence[Material], not_run: Sequence[str] = ()) -> bytes:
    """One suite a run, one case a check, and a first case `verdict` so that a suite is never green for want of cases.

    `not_run` names scenarios that were asked for and never started.
    """
    root = ET.Element("testsuites", name="gauntlet")
    for material in materials:
        root.append(_suite(material))
    for name in not_run:
        suite = ET.SubElement(root, "testsuite", name=legal(name), tests="1", failures="0", errors="0", skipped="1", time="0.000")
        case = ET.SubElement(suite, "testcase", classname=f"gauntlet.{legal(name)}", name="verdict", time="0.000")
        ET.SubElement(case, "skipped", message="the run was never started")
    for attribute in ("tests", "failures", "errors", "skipped"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ET.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _suite(material: Material) -> ET.Element:
    verdict = material.verdict
    statuses = [verdict.status, *(r.status for r in verdict.results)]
    suite = ET.Element(
        "testsuite",
        name=legal(material.scenario.name),
        tests=str(len(statuses)),
        failures=str(statuses.count(Status.FAIL)),
        errors=str(statuses.count(Status.INCONCLUSIVE)),
        skipped="0",
        time=f"{length_s(material.history):.3f}",
    )
    started = dig(material.history.run, "clock", "utc")
    if started:
        suite.set("timestamp", legal(str(started))[:19])  # xunit2 knows no fractions and no zone
    properties = ET.SubElement(suite, "properties")
    for name, value in (("seed", material.seed), ("git_sha", dig(material.history.run, "git", "sha")), ("reproduce", material.command)):
        if value is not None:
            ET.SubElement(properties, "property", name=name, value=legal(str(value)))
    suite.append(_case(material.scenario.name, "verdict", "verdict", verdict.status, verdict.reason, verdict.reason))
    for result in verdict.results:
        suite.append(_case(material.scenario.name, result.group, result.name, result.status, result.reason, _detail(result)))
    return suite


def _case(scenario: str, group: str, name: str, status: Status, message: str, detail: str) -> ET.Element:
    case = ET.Element("testcase", classname=legal(f"gauntlet.{scenario}.{group}"), name=legal(name), time="0.000")
    match status:
        case Status.FAIL:
            ET.SubElement(case, "failure", message=legal(message), type="FAIL").text = legal(detail)
        case Status.INCONCLUSIVE:
            ET.SubElement(case, "error", message=legal(message), type="INCONCLUSIVE").text = legal(detail)
        case Status.PASS | Status.WARN:
            ET.SubElement(case, "system-out").text = legal(f"{status.value}: {detail}")
    return case


def _detail(result: Result) -> str:
    facts = (("value", shown_value(result)), ("limit", result.limit), ("samples", result.samples))
    head = ", ".join(f"{name} {value}" for name, value in facts if value not in (None, ""))
    return "\n".join(line for line in (result.reason, head, *result.evidence) if line)


def legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
