"""The command line as people and scripts meet it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from harness.cli import cli
from harness.lifecycle.exit_codes import worst
from tests.e2e.live_run import ROOT, environment, gauntlet

SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
PROBLEM = re.compile(r"^.+:\d+:\d+: .+")


def call(*arguments: str | Path) -> Result:
    """One command in this process, standard output and standard error apart."""
    return CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="gauntlet")


def document(*arguments: str | Path, code: int = 0) -> Any:
    """The one JSON document on standard output."""
    done = call(*arguments)
    assert done.exit_code == code, done.stderr
    return json.loads(done.stdout)


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path; groups as well."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_every_command_has_help(path: tuple[str, ...], command: click.Command) -> None:
    done = call(*path, "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    assert command.help
    for option in (p for p in command.params if isinstance(p, click.Option) and p.name not in ("help", "version")):
        assert option.opts[0] in done.stdout


def test_the_commands_of_the_contract_are_there() -> None:
    runs = "run stop judge report show list compare diff baseline load gameday"
    files = "check schema init faults mock openslo rules detect diagnose replay mutate audit"
    machine = "doctor clean up down images kubernetes completion watch health logs"
    release = "pipeline deploy config"
    contract = f"{runs} {files} {machine} {release}"
    assert set(cli.commands) == set(contract.split())
    overview = call("--help").stdout
    assert "..." not in overview.partition("Commands:")[2], "every command says in one line what it does"
    assert "Exit codes: 0 pass" in overview


def test_an_unknown_command_is_a_usage_error() -> None:
    done = call("frobnicate")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "frobnicate" in done.stderr


@pytest.mark.parametrize(("codes", "code"), [((), 0), ((0, 3), 3), ((3, 1), 1), ((1, 4), 4), ((4, 2), 2), ((2, 5), 5), ((5, 130, 0), 130)])
def test_of_several_files_the_worst_wins(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) == code


def test_all_scenarios_are_fine() -> None:
    assert len(SCENARIOS) >= 9
    assert document("check", "--json", *SCENARIOS) == {"files": {str(path): [] for path in SCENARIOS}}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for command in ("check", "run"):
        done = call(command, tmp_path / "no-such.yaml")
        assert (done.exit_code, done.stdout) == (2, "")
        assert PROBLEM.match(done.stderr) and "no-such.yaml:1:1: no such file" in done.stderr


def test_run_tells_of_every_invalid_file_before_it_starts_any(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("name: first\nload: {shape: [{constant: 20/s}]}\nphases: {steady_state: 10x}\n", encoding="utf-8")
    second.write_text("name: second\nfoo: 1\nload: {shape: [{constant: 20/s}]}\nphases: {steady_state: 10s}\n", encoding="utf-8")
    out = tmp_path / "runs"
    done = call("run", SCENARIOS[0], first, second, "--out", out)
    assert (done.exit_code, done.stdout, out.exists()) == (2, "", False)
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{first}:3:24", f"{second}:2:1"], done.stderr
    told = document("run", first, "--json", code=2)
    assert (told["exit_code"], str(first) in told["error"]) == (2, True)


@pytest.mark.parametrize("command", ["judge", "show", "report", "stop"])
def test_no_run_there(command: str, tmp_path: Path) -> None:
    done = call(command, tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert str(tmp_path) in done.stderr and "Traceback" not in done.stderr


def test_the_schema_accepts_every_scenario() -> None:
    schema = document("schema")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for path in SCENARIOS:
        errors = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))]
        assert errors == [], path
    assert list(validator.iter_errors({"name": "x", "load": {"shape": [{"constant": "1/s"}]}, "phases": {}})), "and not everything"
    Draft202012Validator.check_schema(document("schema", "verdict"))


def test_what_init_writes_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    done = call("init", file, "--name", "my-shop", "--url", "http://127.0.0.1:8080")
    assert (done.exit_code, done.stdout) == (0, "")
    written = file.read_text(encoding="utf-8")
    assert document("check", "--json", file) == {"files": {str(file): []}}
    again = call("init", file)
    assert (again.exit_code, file.read_text(encoding="utf-8")) == (2, written), "never over a file that is there"
    refused = call("init", tmp_path / "bad.yaml", "--name", "Not A Name")
    assert (refused.exit_code, (tmp_path / "bad.yaml").exists()) == (2, False)


def test_the_catalogue_of_faults() -> None:
    listed = document("faults", "list", "--json")["faults"]
    names = [fault["name"] for fault in listed]
    assert {"process.kill", "process.pause", "cache.down", "network.latency", "llm.slow_first_token", "llm.rate_limited"} <= set(names)
    for fault in listed:
        assert document("faults", "show", fault["name"], "--json") == fault
        page = call("faults", "show", fault["name"])
        assert (page.exit_code, fault["name"] in page.stdout) == (0, True)
    near = call("faults", "show", "process.kil")
    assert (near.exit_code, "did you mean 'process.kill'" in near.stderr) == (2, True)


def test_doctor_knows_this_machine() -> None:
    findings = document("doctor", "--json")["findings"]
    marks = {f["what"]: f["mark"] for f in findings}
    assert (marks["PostgreSQL + pgvector"], marks["Valkey or Redis"], marks["locust"]) == ("ok", "ok", "ok")
    assert {f["mark"] for f in findings} <= {"ok", "none", "MISS"}


def test_listing_where_nothing_was_run(tmp_path: Path) -> None:
    assert document("list", "--out", tmp_path, "--json") == {"runs": []}


@pytest.mark.e2e
def test_clean_has_nothing_to_do(tmp_path: Path) -> None:
    done = gauntlet("clean", tmp=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "nothing left by dead runs")


@pytest.mark.e2e
def test_help_works_without_what_a_run_needs(tmp_path: Path) -> None:
    """And it is quick: nothing heavy is imported before a command needs it."""
    program = "import sys; from harness.cli import cli; print(sorted({'locust', 'gevent', 'psutil', 'httpx', 'redis'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


COMPLETE = """
eval "$(gauntlet completion bash)" || exit 9
COMP_WORDS=(gauntlet {words}); COMP_CWORD={last}
_gauntlet_completion gauntlet
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "offered"), [("ru", ["rules", "run"]), ("faults sh", ["show"]), ("run --see", ["--seed"]), ("s", ["schema", "show", "stop"])]
)
def test_bash_completes(words: str, offered: list[str], tmp_path: Path) -> None:
    command = tmp_path / "gauntlet"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m harness.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    env = environment(tmp_path)
    env["PATH"] = f"{tmp_path}{os.pathsep}{env['PATH']}"
    script = COMPLETE.format(words=words, last=len(words.split()))
    done = subprocess.run(["bash", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, sorted(done.stdout.split())) == (0, offered), done.stderr


def test_objectives_go_to_openslo_and_back(tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / "llm-brownout.yaml"
    exported = call("openslo", "export", scenario)
    assert exported.exit_code == 0
    assert "recovery.latency_p95 <= +25% of steady_state: a relative limit has no form there" in exported.stderr
    (tmp_path / "slo.yaml").write_text(exported.stdout, encoding="utf-8")
    found = document("openslo", "import", tmp_path / "slo.yaml", "--json")
    assert found["objectives"]["fault"] == {
        "availability": ">= 97%",
        "answered": ">= 95%",
        "degraded_honest": ">= 99%",
        "latency_p95": "<= 7s",
    }
    assert document("openslo", "export", scenario, "--json")["documents"] == list(yaml.safe_load_all(exported.stdout))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "FILE"], "FILE:1:13: apiVersion is 'v2'; write `apiVersion: openslo/v1`"),
        (["import", "FILE", "--map", "a=speed"], "--map: 'a=speed'"),
        (["import", "FILE", "--phase", "monday"], "--phase: there is no phase 'monday'"),
        (["export", "FILE"], "FILE:1:1: unknown key 'apiVersion'"),
    ],
)
def test_what_is_no_openslo_is_refused(arguments: list[str], says: str, tmp_path: Path) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text("apiVersion: v2\n", encoding="utf-8")
    done = call("openslo", *(str(file) if word == "FILE" else word for word in arguments))
    assert done.exit_code == 2
    assert says.replace("FILE", str(file)) in done.stderr


def test_a_baseline_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = call("run", ROOT / "scenarios" / "null.yaml", "--out", tmp_path / "runs", "--baseline", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "no run.json here" in done.stderr
    assert not (tmp_path / "runs").exists()
