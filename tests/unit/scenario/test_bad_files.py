"""Bad files: each kind gives one error, at its line and column, that says what to write instead.

The tables lie in `bad_files/*.txt`: for each kind its place, words of the message, words of the hint, and the file;
`@HEAD` stands for HEAD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.scenario.catalog import StackInfo
from harness.scenario.check import check
from harness.scenario.loader import MAX_BYTES, load_scenario, load_text
from harness.scenario.problem import Problem, ScenarioError
from tests.unit.scenario.catalogue import BARE, CATALOG, COMPOSE, EXTERNAL, REFERENCE

HEAD = "name: x\nload: {shape: [{constant: 25/s}]}\nphases: {warmup: 10s, steady_state: 40s, fault: 40s, recovery: 20s}\n"
KILL = "faults:\n- {id: a, type: process.kill, target: retrieval-2, at: fault, for: 30s}\n"
NOTHING_ASSERTED = "nothing is asserted: the verdict can only be INCONCLUSIVE"


@dataclass(frozen=True)
class BadFile:
    """One row of a table."""

    kind: str
    at: str
    says: str
    hint: str
    content: bytes


def table(name: str) -> list[BadFile]:
    text = (Path(__file__).parent / "bad_files" / f"{name}.txt").read_text(encoding="utf-8")
    rows = []
    for block in re.split(r"(?m)^=== ", text)[1:]:
        header, content = block.split("\n---\n", 1)
        kind, at, says, hint = header.split("\n")
        content = content.removesuffix("\n\n") + "\n" if content.endswith("\n\n") else content
        words = (kind, at.removeprefix("at "), says.removeprefix("says "), hint.removeprefix("hint").strip())
        rows.append(BadFile(*words, content.replace("@HEAD\n", HEAD).encode()))
    return rows


# What a text file cannot show well.
BYTES = [
    BadFile("empty", "1:1", "the file is empty", "gauntlet init", b""),
    BadFile("huge", "1:1", "larger than 1024 KiB", "right file", b"#" * (MAX_BYTES + 1)),
    BadFile("binary", "1:1", "control character U+007F", "delete it", b"\x7fELF\x02\x01\x01\x00"),
    BadFile("control character", "2:14", "control character U+0007", "delete it", b"name: x\nhypothesis: a\x07b\n"),
    BadFile("not UTF-8", "2:16", "byte 23 (0xe9) is not UTF-8", "save the file as UTF-8", b"name: x\nhypothesis: caf\xe9\n"),
    BadFile("UTF-16", "1:1", "byte 0 (0xff) is not UTF-8", "save the file as UTF-8", "name: x\n".encode("utf-16")),
    BadFile("deep nesting", "1:42", "nested deeper than 40 levels", "", b"a: " + b"[" * 5000),
    BadFile("very long quantity", "3:18", "longer than 168h", "shorter", HEAD.replace("10s", "9" * 4000 + "s", 1).encode()),
]
TABLES = {name: table(name) for name in ("syntax", "model", "checks", "external", "compose")} | {"bytes": BYTES}
STACKS = {"external": EXTERNAL, "compose": COMPOSE}
"""Of the tables that are not about the reference stack."""
ROWS = [(name, row) for name, rows in TABLES.items() for row in rows]


def problems(content: bytes, tmp_path: Path, stack: StackInfo) -> list[str]:
    """`line:column: what; hint` of everything wrong with a file."""
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    try:
        loaded = load_scenario(file)
    except ScenarioError as error:
        found: list[Problem] = list(error.problems)
    else:
        found = [p for p in check(loaded, CATALOG, stack) if p.message != NOTHING_ASSERTED]
    assert all(p.path == str(file) for p in found)
    return [str(p).removeprefix(f"{file}:") for p in found]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[f"{name}: {row.kind}" for name, row in ROWS])
def test_bad_file_gives_one_error_at_its_place(name: str, row: BadFile, tmp_path: Path) -> None:
    found = problems(row.content, tmp_path, STACKS.get(name, REFERENCE))
    assert len(found) == 1, found
    place, _, text = found[0].partition(": ")
    message, _, hint = text.partition("; ")
    assert place == row.at, found[0]
    assert row.says in text
    assert row.hint in (hint if row.hint else message)


def test_the_table_is_as_long_as_promised() -> None:
    kinds = [row.kind for _, row in ROWS]
    assert len(kinds) == len(set(kinds)) >= 100


def test_missing_capability_says_what_to_use_instead(tmp_path: Path) -> None:
    assert problems((HEAD + KILL).encode(), tmp_path, BARE) == [
        "5:17: the stack 'reference' cannot do process.kill: it is not Killable; use a stack that can: `stack: {use: reference}`"
    ]


def test_nothing_asserted_is_a_warning() -> None:
    (problem,) = check(load_text(HEAD), CATALOG, REFERENCE)
    assert (problem.severity, problem.message) == ("warning", NOTHING_ASSERTED)


@pytest.mark.parametrize(
    ("name", "message"), [("absent.yaml", "no such file"), (".", "this is a directory"), ("/dev/null", "no regular file")]
)
def test_path_that_is_no_file(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}:1:1: ")
    assert message in str(caught.value)


def test_path_with_a_nul_byte() -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario("a\0b")
