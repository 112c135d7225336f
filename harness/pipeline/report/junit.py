"""JUnit XML: one suite a stage, one case a step; FAIL is a failure, INCONCLUSIVE an error, what did not run is skipped."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.pipeline.reading import PipelineRecord, StageRecord, StepRecord
from harness.report.junit import legal
from harness.score.check import Status


def render(record: PipelineRecord) -> bytes:
    """The first suite holds the verdict, so that a file is never green for want of cases."""
    root = ET.Element("testsuites", name="gauntlet")
    suite = ET.SubElement(root, "testsuite", name=f"{record.pipeline.name}.verdict", time=f"{record.seconds:.3f}")
    case = ET.SubElement(suite, "testcase", classname=f"gauntlet.{record.pipeline.name}", name="verdict", time=f"{record.seconds:.3f}")
    _result(case, record.status, record.reason)
    for stage in record.stages:
        _stage(root, record.pipeline.name, stage)
    for suite in root:
        counts = {"tests": len(suite), **{f"{kind}s": len(suite.findall(f"*/{kind}")) for kind in ("failure", "error")}}
        counts["skipped"] = len(suite.findall("*/skipped"))
        for name, count in counts.items():
            suite.set(name, str(count))
            root.set(name, str(int(root.get(name, "0")) + count))
    ET.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _stage(root: ET.Element, pipeline: str, stage: StageRecord) -> None:
    suite = ET.SubElement(root, "testsuite", name=f"{pipeline}.{stage.name}", time=f"{stage.seconds or 0.0:.3f}")
    for step in stage.steps:
        case = ET.SubElement(
            suite, "testcase", classname=f"gauntlet.{pipeline}.{stage.name}", name=step.id, time=f"{step.seconds or 0.0:.3f}"
        )
        if step.status is None:
            ET.SubElement(case, "skipped", message=legal(step.reason))
        else:
            _result(case, step.counts_as, _detail(step))


def _result(case: ET.Element, status: Status, text: str) -> None:
    message = legal(text.partition("\n")[0])
    match status:
        case Status.FAIL:
            ET.SubElement(case, "failure", message=message, type="FAIL").text = legal(text)
        case Status.INCONCLUSIVE:
            ET.SubElement(case, "error", message=message, type="INCONCLUSIVE").text = legal(text)
        case Status.PASS | Status.WARN:
            ET.SubElement(case, "system-out").text = legal(f"{status.value}: {text}")


def _detail(step: StepRecord) -> str:
    findings = [f"{f.get('path')}:{f.get('line') or ''}: {f.get('level')}: {f.get('message')} [{f.get('rule')}]" for f in step.findings]
    return "\n".join([step.reason or "no reason was given", *findings])
