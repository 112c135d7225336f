"""The files that a run's reports are: derived from its record, and made again by `gauntlet pipeline show RUN`."""

from __future__ import annotations

import json

from harness.pipeline.reading import PipelineRecord
from harness.pipeline.report import document, html, junit

DOCUMENT, JUNIT, PAGE = "pipeline.json", "junit.xml", "report.html"


def write(record: PipelineRecord, *, strict: bool = False) -> None:
    """Into the run's own directory."""
    text = json.dumps(document.document(record, strict=strict), indent=2, sort_keys=True)
    (record.path / DOCUMENT).write_text(text + "\n", encoding="utf-8")
    (record.path / JUNIT).write_bytes(junit.render(record))
    (record.path / PAGE).write_text(html.render(record), encoding="utf-8")
