"""A fault of an installed distribution: in the catalogue, in `check`, and told where it is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.faults.third_party import announced
from tests.distribution import installed

ROOT = Path(__file__).resolve().parents[3]
MODULE = """
from dataclasses import replace

from harness.faults.process import ProcessKill


class Ours(ProcessKill):
    spec = replace(ProcessKill.spec, name="ours.kill", example=ProcessKill.spec.example.replace("process.kill", "ours.kill"))


class Misnamed(ProcessKill):
    spec = replace(ProcessKill.spec, name="ours.other")


class NoVerbs:
    spec = replace(ProcessKill.spec, name="ours.verbless")


class Unkind(ProcessKill):
    spec = replace(ProcessKill.spec, name="ours.unkind", kind="sadness")
"""
POINTS = {
    "ours.kill": "our_faults:Ours",
    "ours.misnamed": "our_faults:Misnamed",
    "ours.verbless": "our_faults:NoVerbs",
    "ours.unkind": "our_faults:Unkind",
    "ours.gone": "our_absent:Gone",
    "process.kill": "our_faults:Ours",
}
SCENARIO = """
name: theirs
hypothesis: Theirs is a fault like any.
stack: {use: reference, replicas: {retrieval: 2}}
load: {shape: [{constant: 15/s}], mix: {ask: 1}}
phases: {warmup: 10s, steady_state: 25s, fault: 40s, recovery: 15s}
faults:
  - {id: a, type: TYPE, target: retrieval-2, at: fault, for: 20s}
objectives: {steady_state: {availability: ">= 90%"}}
"""


def test_what_can_be_used_and_what_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed(tmp_path, "our_faults", {"our_faults": MODULE}, {"rag_gauntlet.faults": POINTS})))
    found = announced({"process.kill"})
    assert [kind.spec.name for kind in found.classes] == ["ours.kill"]
    reasons = {name: reason.partition(": ")[2] for name, reason in found.broken.items()}
    assert reasons == {
        "ours.misnamed": "ValueError: its spec is called 'ours.other', its entry point 'ours.misnamed'",
        "ours.verbless": "TypeError: it has no undo, inject, verify, heal, gone",
        "ours.unkind": reasons["ours.unkind"],
        "ours.gone": "ModuleNotFoundError: No module named 'our_absent'",
        "process.kill (our_faults:Ours)": "there is a fault process.kill already",
    }
    assert reasons["ours.unkind"].startswith("ValueError: 'sadness' is no kind; write one of latency, errors")
    del sys.modules["our_faults"]


def test_the_command_line_knows_it(tmp_path: Path) -> None:
    installed(tmp_path, "our_faults", {"our_faults": MODULE}, {"rag_gauntlet.faults": POINTS})
    code = (
        "import sys, json, pathlib\n"
        "from harness.faults.registry import CATALOG, describe\n"
        "from harness.lifecycle.checking import check_file\n"
        "example = describe(CATALOG['ours.kill'], {})['example']\n"
        "print(json.dumps([example, *([str(p) for p in check_file(pathlib.Path(f))] for f in sys.argv[1:])]))"
    )
    for name, type_ in (("good", "ours.kill"), ("bad", "ours.gone")):
        (tmp_path / f"{name}.yaml").write_text(SCENARIO.replace("TYPE", type_), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    argv = [sys.executable, "-c", code, *(str(tmp_path / f"{name}.yaml") for name in ("good", "bad"))]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    example, good, bad = json.loads(done.stdout)
    assert "ours.kill" in example and not [p for p in good if "warning" not in p]
    (refused,) = (p for p in bad if "warning" not in p)
    assert "bad.yaml:8:" in refused and "ours.gone" not in refused.partition(":8:")[0]
    assert "the fault of our_absent:Gone cannot be used: ModuleNotFoundError: No module named 'our_absent'; repair or remove" in refused
