"""The files for CI systems: each fits the schema of its system, and the action's own steps do what a runner would let them do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / ".github" / "actions" / "gauntlet"
STEPS: list[dict[str, Any]] = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
INPUTS = {name: given["default"] for name, given in yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))["inputs"].items()}
OWN = "rag-gauntlet/rag-gauntlet/"


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", sorted((ROOT / ".github" / "workflows").glob("*.yml"))),
        ("vendor.github-actions", [ACTION / "action.yml"]),
        ("vendor.gitlab-ci", [ROOT / "docs" / "ci" / "gitlab-ci.yml"]),
    ],
    ids=["workflows", "action", "gitlab"],
)
def test_files_fit_the_schema_of_their_system(schema: str, files: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if "gitlab" in schema:
        command += ["--data-transform", "gitlab-ci"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=False)
    assert files and done.returncode == 0, done.stdout + done.stderr


def test_the_examples_of_the_page_fit_too(tmp_path: Path) -> None:
    found = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    files = [tmp_path / f"{n}.yml" for n in range(len(found))]
    for file, text in zip(files, found, strict=True):
        file.write_text(f"on: push\n{text}", encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert len(files) == 2 and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [ACTION / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))], ids=lambda f: f.name)
def test_actions_of_others_are_pinned_and_inputs_are_no_code(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)( # v[\d.]+)?", text)
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40}", name) and version for name, version in used if not name.startswith(OWN))
    for step in _steps(yaml.safe_load(text)):
        assert "${{ inputs" not in step.get("run", ""), "an input goes into the environment: in a script it would be code"


def _steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = document.get("jobs", {"action": document.get("runs", {})})
    return [step for job in jobs.values() for step in job.get("steps", [])]


def test_the_reusable_workflow_passes_every_input_that_the_action_has() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "gauntlet.yml").read_text(encoding="utf-8"))
    step = document["jobs"]["gauntlet"]["steps"][-1]
    asked = set(document[True]["workflow_call"]["inputs"]) - {"timeout-minutes"}  # YAML 1.1 reads `on` as a yes
    assert set(step["with"]) == asked <= set(INPUTS)


class Runner:
    """The part of GitHub's runner that a composite action meets: inputs, the environment files, and one shell a step."""

    def __init__(self, place: Path, path: str) -> None:
        self.place = place
        self.files = {name: place / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for file in self.files.values():
            file.touch()
        (place / "temp").mkdir()
        self.path = path
        self.log = ""

    def step(self, name: str, cwd: Path, **given: str) -> int:
        """One step by its name; the exit status of its script."""
        step = next(one for one in STEPS if one.get("name") == name)
        assert step["shell"] == "bash"
        inputs = {**INPUTS, **{key.replace("_", "-"): value for key, value in given.items()}}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "RUNNER_", "GAUNTLET_"))}
        environment = {
            **kept,
            **{name: str(file) for name, file in self.files.items()},
            **{key: self._expanded(value, inputs) for key, value in step.get("env", {}).items()},
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(self.place / "temp"),
            "PATH": os.pathsep.join([*reversed(self.files["GITHUB_PATH"].read_text().split()), self.path]),
        }
        script = self.place / "step.sh"
        script.write_text(self._expanded(step["run"], inputs), encoding="utf-8")
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]  # as the runner starts `shell: bash`
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)
        self.log = done.stdout + done.stderr
        return done.returncode

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines())

    def _expanded(self, text: str, inputs: dict[str, str]) -> str:
        known = {"github.action_path": str(ACTION), **{f"inputs.{name}": value for name, value in inputs.items()}}
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: known[found[1]], text)


REAL = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path, REAL)


def stand_in(place: Path, code: int, *documents: dict[str, Any]) -> str:
    """A PATH on which `gauntlet` says what a run says, and ends so."""
    found = documents[0] if len(documents) == 1 else {"runs": list(documents), "exit_code": code}
    program = place / "bin" / "gauntlet"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" > '{place}/asked'\ncat <<'X'\n{json.dumps(found) if documents else ''}\nX\nexit {code}\n")
    program.chmod(0o755)
    return os.pathsep.join([str(program.parent), REAL])


def run_of(verdict: str, name: str = "a") -> dict[str, Any]:
    return {"verdict": verdict, "run_dir": f"/runs/{name}"}


@pytest.mark.parametrize(
    ("code", "documents", "verdict", "directory"),
    [
        (0, [run_of("PASS")], "PASS", "/runs/a"),
        (0, [run_of("PASS"), run_of("WARN", "b")], "WARN", "all"),
        (1, [run_of("PASS"), run_of("FAIL", "b"), run_of("INCONCLUSIVE", "c")], "FAIL", "all"),
        (3, [run_of("INCONCLUSIVE")], "INCONCLUSIVE", "/runs/a"),
        (4, [run_of("PASS"), {"verdict": None, "exit_code": 4}], "INCONCLUSIVE", "/runs/a"),
        (4, [{"verdict": None, "exit_code": 4}], "", "all"),
        (5, [], "", "all"),
        (130, [run_of("PASS")], "INCONCLUSIVE", "/runs/a"),
    ],
)
def test_outputs_and_the_exit_code_are_those_of_the_command(
    code: int, documents: list[dict[str, Any]], verdict: str, directory: str, tmp_path: Path
) -> None:
    runner = Runner(tmp_path, stand_in(tmp_path, code, *documents))
    assert runner.step("Run", tmp_path, scenarios="a.yaml b.yaml", options="--strict\n--seed 7") == code, runner.log
    out = tmp_path / "temp" / "gauntlet-runs"
    expected = {"verdict": verdict, "exit-code": str(code), "run-directory": directory if directory != "all" else str(out)}
    assert runner.outputs == {**expected, "out": str(out), "sarif": ""}
    assert (tmp_path / "asked").read_text().strip() == f"run a.yaml b.yaml --out {out} --json --strict --seed 7"


def test_a_pipeline_and_its_findings(tmp_path: Path) -> None:
    runner = Runner(tmp_path, stand_in(tmp_path, 0, run_of("PASS")))
    out = tmp_path / "temp" / "gauntlet-runs"
    (out / "pipelines" / "x").mkdir(parents=True)
    (out / "pipelines" / "x" / "verdict.sarif").write_text("{}")
    assert runner.step("Run", tmp_path, pipeline="pipelines/release.yaml") == 0
    assert (tmp_path / "asked").read_text().startswith("pipeline run pipelines/release.yaml --out ")
    assert runner.outputs["sarif"] == str(out)


def test_inconclusive_fails_unless_it_must_not(tmp_path: Path) -> None:
    runner = Runner(tmp_path, stand_in(tmp_path, 3, run_of("INCONCLUSIVE")))
    assert runner.step("Run", tmp_path, scenarios="a.yaml") == 3
    assert runner.step("Run", tmp_path, scenarios="a.yaml", fail_on_inconclusive="false") == 0
    assert "::warning title=gauntlet::INCONCLUSIVE" in runner.log and runner.outputs["verdict"] == "INCONCLUSIVE"


@pytest.mark.parametrize("given", [{}, {"scenarios": "a.yaml", "pipeline": "p.yaml"}], ids=["neither", "both"])
def test_it_is_told_what_to_run_and_nothing_else(given: dict[str, str], runner: Runner) -> None:
    assert runner.step("Run", runner.place, **given) == 2
    assert runner.outputs == {"exit-code": "2"} and "give either scenarios or a pipeline" in runner.log


def test_what_is_written_into_an_input_is_no_code(runner: Runner) -> None:
    assert runner.step("Run", runner.place, scenarios="$(touch evil) ;touch evil", options="`touch evil`") == 2
    assert not list(runner.place.rglob("evil"))


def test_a_wrong_file_is_exit_2_of_the_real_command(runner: Runner) -> None:
    (runner.place / "a.yaml").write_text("name: a\n")
    assert runner.step("Run", runner.place, scenarios="*.yaml") == 2
    assert "a.yaml:1:1: " in runner.log and runner.outputs["verdict"] == ""


def test_what_is_installed_is_on_the_path_of_later_steps(runner: Runner) -> None:
    wheel = runner.place / "stand_in-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("stand_in.py", 'def main():\n    print(\'{"verdict": "PASS", "run_dir": "/r"}\')\n')
        archive.writestr("stand_in-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
        archive.writestr("stand_in-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("stand_in-1.0.dist-info/entry_points.txt", "[console_scripts]\ngauntlet = stand_in:main\n")
        archive.writestr("stand_in-1.0.dist-info/RECORD", "")
    assert runner.step("Install", runner.place, package=str(wheel)) == 0, runner.log
    assert runner.step("Run", runner.place, scenarios="a.yaml") == 0, runner.log
    assert runner.outputs["verdict"] == "PASS" and runner.outputs["run-directory"] == "/r"


def test_the_jenkinsfile_knows_the_exit_codes() -> None:
    text = (ROOT / "docs" / "ci" / "Jenkinsfile").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}") and "returnStatus: true" in text
    inconclusive, other = text.index("code == 3"), text.index("code != 0")
    assert inconclusive < text.index("unstable(") < other < text.index("error(")
    assert "junit testResults: 'gauntlet-runs/*/*/junit.xml'" in text


def test_scripts_of_the_action_read_well() -> None:
    assert subprocess.run(["bash", "-n", str(ACTION / "run")], check=False).returncode == 0
    assert os.access(ACTION / "run", os.X_OK)
