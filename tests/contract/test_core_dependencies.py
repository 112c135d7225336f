"""`pip install rag-gauntlet` without extras is enough to check, judge and report: the packages of the extras are hidden here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from harness.run import Options, open_record
from harness.scenario.loader import load_scenario

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))


def distribution(requirement: str) -> str:
    """`psycopg` of `psycopg[binary]>=3.2`, as packaging normalises names."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def modules_of_extras() -> list[str]:
    """Top-level modules that only the extras bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {distribution(r) for r in project["dependencies"]}
    extra = (
        {distribution(r) for name in ("run", "stack", "parquet", "detectors") for r in project["optional-dependencies"][name]}
        - core
        - {"rag-gauntlet"}
    )
    return [m for m, owners in packages_distributions().items() if extra & {distribution(o) for o in owners}]


def gauntlet(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program, on a machine where the extras are not installed."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({modules_of_extras()!r})); from harness.cli import main; main()"
    return subprocess.run([sys.executable, "-c", hide, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A run that ended before it began: judged all the same."""
    loaded = load_scenario(ROOT / "scenarios" / "null.yaml")
    return open_record(loaded.scenario, loaded, Options(out=tmp_path)).path


def test_the_extras_are_really_hidden() -> None:
    assert {"locust", "psycopg", "redis", "starlette", "httpx"} <= set(modules_of_extras())
    ended = gauntlet("run", str(SCENARIOS[0]))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("is not installed; this command needs: pip install 'rag-gauntlet[all]'\n")


def test_check_needs_no_extra() -> None:
    ended = gauntlet("check", *map(str, SCENARIOS))
    assert (ended.returncode, ended.stderr) == (0, "".join(f"{path}: fine\n" for path in SCENARIOS))


def test_judging_and_reporting_need_no_extra(record: Path) -> None:
    ended = gauntlet("judge", str(record), "--json")
    assert (ended.returncode, json.loads(ended.stdout)["verdict"]) == (3, "INCONCLUSIVE"), ended.stderr
    assert {path.name for path in record.iterdir()} >= {"verdict.json", "junit.xml", "verdict.sarif", "report.html"}


def test_exported_files_need_no_extra(tmp_path: Path) -> None:
    table, graph, out = tmp_path / "table.csv", tmp_path / "graph.json", tmp_path / "out.csv"
    rows = [f"{i},{10 + i % 7},{3 if i < 200 else 60}" for i in range(300)]
    table.write_text("\n".join(["timestamp,cart/latency,cart/cpu", *rows]) + "\n", encoding="utf-8")
    graph.write_text('{"edges": [["front", "cart"]]}', encoding="utf-8")
    ended = gauntlet("detect", str(table), "--timestamp-col", "timestamp", "--value-col", "cart/cpu", "--out", str(out))
    assert ended.returncode == 0 and len(out.read_text(encoding="utf-8").splitlines()) == 301, ended.stderr
    ended = gauntlet("diagnose", "--metrics", str(table), "--graph", str(graph), "--onset", "200", "--json")
    assert [(c["service"], c["kind"]) for c in json.loads(ended.stdout)["causes"]] == [("cart", "cpu")], ended.stderr
    ended = gauntlet(
        "detect", str(table), "--timestamp-col", "timestamp", "--value-col", "cart/cpu", "--out", str(out), "--detector", "lof"
    )
    assert ended.returncode == 2 and ended.stderr.endswith("pip install 'rag-gauntlet[detectors]'\n")


def test_logs_need_no_extra(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text('{"level": "error", "event": "x"}\n', encoding="utf-8")
    ended = gauntlet("logs", "analyze", str(tmp_path), "--json")
    assert (ended.returncode, json.loads(ended.stdout)["errors"]) == (0, 1), ended.stderr
    ended = gauntlet("logs", "prune", str(tmp_path))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "arguments", [("faults", "list"), ("faults", "show", "process.kill"), ("schema",), ("schema", "verdict"), ("list",)]
)
def test_what_is_static_needs_no_extra(arguments: tuple[str, ...]) -> None:
    ended = gauntlet(*arguments)
    assert ended.returncode == 0, ended.stderr
