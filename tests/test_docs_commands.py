"""Every command in the fenced blocks of README.md and docs/ is run: here, or by a test that is named (tests/docs_commands.py)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import cli
from tests.docs_commands import COMMANDS, By, Here, Not

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("", "sh", "bash", "shell", "console")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands_of(page: Path) -> Iterator[str]:
    """In order. What is no command is in a block of another language, such as `text`."""
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in SHELLS:
            for line in text.replace("\\\n", " ").splitlines():
                yield from _apart(line)


def _apart(line: str) -> Iterator[str]:
    """The commands of one line, without comments; quotes and spacing as they stand."""
    words = shlex.shlex(line, posix=False, punctuation_chars="&|;")
    words.whitespace_split, words.commenters = True, "#"
    found: list[str] = []
    for word in words:
        if word in ("&&", "|", "||", ";"):
            yield " ".join(found)
            found = []
        else:
            found.append(word)
    if found:
        yield " ".join(found)


FOUND = {page: list(commands_of(page)) for page in PAGES}


def test_every_command_is_known_and_no_other() -> None:
    named = {command for commands in FOUND.values() for command in commands}
    unknown = sorted(named - set(COMMANDS))
    assert not unknown, f"say in tests/docs_commands.py who runs them: {unknown}"
    assert not sorted(set(COMMANDS) - named), "no page has them any more"


@pytest.mark.parametrize("test", sorted({how.test for how in COMMANDS.values() if isinstance(how, By)}))
def test_the_tests_that_are_named_are_there(test: str) -> None:
    file, _, function = test.partition("::")
    assert re.search(rf"^(async )?def {function}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_what_nobody_runs_has_a_reason() -> None:
    left = [how.reason for how in COMMANDS.values() if isinstance(how, Not)]
    assert all(len(reason.split()) >= 3 for reason in left) and len(left) <= len(COMMANDS) / 3


HERE = [page for page, commands in FOUND.items() if any(isinstance(COMMANDS.get(command), Here) for command in commands)]


@pytest.mark.parametrize("page", HERE, ids=lambda page: page.name)
def test_commands_of_a_page_do_what_it_says(page: Path, place: Path) -> None:
    """One after the other, in one folder, as somebody does who reads it."""
    for command in FOUND[page]:
        how = COMMANDS.get(command)
        if isinstance(how, Here):
            done = CliRunner().invoke(cli, _arguments(command), prog_name="gauntlet")
            assert done.exit_code == how.code, f"{command}: {done.exit_code}\n{done.output}{done.stderr}"


def _arguments(command: str) -> list[str]:
    """As the shell passes them, after `gauntlet`; words that stand for a run are that of the folder."""
    name, *words = shlex.split(command)
    assert name == "gauntlet", f"{command}: only gauntlet is run here"
    stands_for = dict.fromkeys(("RUN", "BASE", "CANDIDATE", "A", "B"), "run")
    words = [stands_for.get(word, word) for word in words]
    return [path for word in words for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what the pages speak of."""
    monkeypatch.chdir(tmp_path)
    for folder in ("scenarios", "pipelines"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    with tarfile.open(ROOT / "tests" / "records" / "schema-1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "schema-1").rename(tmp_path / "run")
    _own_service(tmp_path)
    _exported(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "gateway-1.log").write_text('{"level": "error", "event": "timeout"}\n', encoding="utf-8")
    return tmp_path


def _own_service(place: Path) -> None:
    """The scenario of docs/compose.md, and a compose file that has its services."""
    blocks = _BLOCK.findall((ROOT / "docs" / "compose.md").read_text(encoding="utf-8"))
    shop = next(text for language, text in blocks if language == "yaml" and "use: compose" in text and "phases:" in text)
    (place / "shop.yaml").write_text(shop, encoding="utf-8")
    stack = yaml.safe_load(shop)["stack"]
    (place / stack["file"]).parent.mkdir(parents=True, exist_ok=True)
    (place / stack["file"]).write_text(yaml.safe_dump({"services": {name: {"image": "example"} for name in stack["services"]}}))


def _exported(place: Path) -> None:
    """What other systems have written: series, an incident, objectives, timings."""
    series = "\n".join(f"{n},{20 + n % 7}" for n in range(300))
    (place / "latency.csv").write_text(f"time,p95_ms\n{series}\n", encoding="utf-8")
    start = 1_769_860_800 - 1_800  # half an hour before 2026-01-31 12:00:00
    rows = "\n".join(f"{start + 15 * n},{10 + n % 5 + (60 if n >= 120 else 0)},{3 + n % 2 + (40 if n >= 120 else 0)}" for n in range(180))
    (place / "incident.csv").write_text(f"timestamp,gateway/latency-90,cart/cpu\n{rows}\n", encoding="utf-8")
    (place / "calls.json").write_text('{"edges": [["gateway", "cart"]]}', encoding="utf-8")
    (place / "slos.yaml").write_text(SLOS, encoding="utf-8")
    for name, seconds in (("base", 0.010), ("candidate", 0.010)):
        stats = {"data": [seconds + n % 10 / 10_000 for n in range(200)]}
        timed = {"machine_info": MACHINE, "commit_info": {"id": "c" * 40}, "benchmarks": [{"fullname": "test_x", "stats": stats}]}
        (place / f"{name}.json").write_text(json.dumps(timed | {"datetime": "2026-01-31T12:00:00"}), encoding="utf-8")


MACHINE = {"node": "n", "machine": "x86_64", "processor": "", "python_version": "3.11.2", "cpu": {"brand_raw": "A"}}
SLOS = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout-latency}
spec:
  service: checkout
  indicator:
    metadata: {name: latency}
    spec: {thresholdMetric: {metricSource: {type: prometheus, spec: {query: x}}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 800, target: 0.95}]
"""
