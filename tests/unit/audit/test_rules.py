"""Every rule of the review, on a file that breaks it and on one that keeps it: exactly the lines that the file itself marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.audit.review import Review, review
from harness.audit.rules import RULES
from tests.unit.audit import compose_cases, kubernetes_cases

CASES = {
    **{f"compose.{name}": case for name, case in compose_cases.CASES.items()},
    **{f"kubernetes.{name}": case for name, case in kubernetes_cases.CASES.items()},
    "audit.not_followed": (
        "services:\n  a:\n    extends: {file: b.yaml, service: b} # HERE\ninclude: [c.yaml] # HERE\n",
        "services:\n  a:\n    image: a:1\n    extends: {service: b}\n",
    ),
    "audit.unused_suppression": (
        "services:\n  a:\n    image: a:1 # gauntlet: allow compose.mutable_tag because it was one HERE\n",
        "services:\n  a:\n    image: a # gauntlet: allow compose.mutable_tag because it is built here\n",
    ),
    "audit.unknown_suppression": (
        "services:\n  a:\n    image: a # gauntlet: allow compose.mutable because it is one HERE\n",
        "services:\n  a:\n    image: 'a # gauntlet: allow compose.mutable because this is a text'\n",
    ),
    "audit.suppression_without_reason": (
        "services:\n  a:\n    image: a # gauntlet: allow compose.mutable_tag HERE\n",
        "services:\n  a:\n    # gauntlet: allow compose.mutable_tag because it is built here\n    image: a\n",
    ),
}


def reviewed(text: str, folder: Path) -> Review:
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    (folder / "secret.env").write_text("# a comment\nMODE=fast\nDB_PASSWORD=hunter2\n", encoding="utf-8")
    (folder / "plain.env").write_text("MODE=fast\nDB_PASSWORD=\n", encoding="utf-8")
    return review([folder / "compose.yaml"], folder)


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("rule", sorted(CASES))
def test_a_file_that_breaks_it(rule: str, tmp_path: Path) -> None:
    text = CASES[rule][0]
    found = [finding for finding in reviewed(text, tmp_path).findings if finding.rule == rule]
    wanted = sorted(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("HERE") or "# HERE" in line)
    assert wanted and sorted({finding.line for finding in found if finding.line}) == wanted
    assert {(finding.path, finding.level) for finding in found} == {("compose.yaml", RULES[rule].level)}
    lines = text.splitlines()
    for finding in found:  # the column is that of something, not of a blank
        assert finding.line is not None and finding.column is not None
        assert lines[finding.line - 1][finding.column - 1].strip()


@pytest.mark.parametrize("rule", sorted(CASES))
def test_a_file_that_keeps_it(rule: str, tmp_path: Path) -> None:
    found = reviewed(CASES[rule][1], tmp_path)
    assert found.reviewed == ("compose.yaml",)
    assert [str(finding) for finding in found.findings if finding.rule == rule] == []
