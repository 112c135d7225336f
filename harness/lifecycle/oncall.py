"""The operator on call: a process of its own that is told endpoints, edges and objectives, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import yaml

from harness.record.looks import public
from harness.scenario.model import Scenario
from harness.stack.base import Stack

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR", "TZ")
_END_S = 3.0
_LOGGED_S = 1.0


def targets_document(stack: Stack, scenario: Scenario, *, client_metrics: str, inbox: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator may know. The scenario gives objectives and time scale only: no name, no fault, no phase."""
    return {
        **stack.targets(),
        "client": {"metrics": client_metrics},
        "slos": {of.text: limit.text for of, limit in scenario.limits("steady_state")},
        "time_scale": scenario.time_scale,
        **({"rules": [_rules_name(n) for n in range(len(scenario.operator.rules))]} if scenario.operator.rules else {}),
        **inbox,
    }


def _rules_name(n: int) -> str:
    """What the operator's copy of a rule file is called: its own name might say what is going to happen."""
    return f"rules-{n + 1}.yml"


def public_targets(targets: Mapping[str, Any]) -> dict[str, Any]:
    """As they are kept in the record: no credentials, and nowhere to speak to."""
    urls = {name: [public(url) for url in found] for name, found in targets["static"].items()}
    services = {
        name: {key: public(value) if key in ("metrics", "health") and value else value for key, value in described.items()}
        for name, described in targets["services"].items()
    }
    kept = {key: value for key, value in targets.items() if key not in ("claims", "actions", "token", "canaries", "trusted")}
    return {**kept, "services": services, "static": urls}


class OnCallError(RuntimeError):
    """The operator's command cannot be executed; the message says which, and why."""


class OnCall:
    """Starts and ends the operator's process; its working directory holds targets.yaml and nothing of the harness."""

    def __init__(self, directory: Path, log: Path, run_id: str) -> None:
        self._directory = directory
        self._log = log
        self._run_id = run_id
        self._process: subprocess.Popen[bytes] | None = None
        self._logging: threading.Thread | None = None

    def start(self, command: Sequence[str] | None, targets: Mapping[str, Any], rules: Sequence[str] = ()) -> None:
        """Write targets.yaml (0600: it holds the token), copy the rule files, start the operator with an environment of its own.

        Raises OnCallError.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        self._copy(rules)
        self._log.touch()
        path = self._directory / "targets.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(dict(targets), sort_keys=False), encoding="utf-8")
        given = [_found(part, program=n == 0).replace("{targets}", str(path)) for n, part in enumerate(command or ())]
        argv = given or [sys.executable, "-m", "harness.ops", str(path)]
        environment = {k: v for k, v in os.environ.items() if k in _PASSED_ON} | {"GAUNTLET_RUN_ID": self._run_id}
        # Its working directory is not ours, so a source checkout must be named.
        paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(p for p in paths if p)
        try:
            process = subprocess.Popen(
                argv,
                cwd=self._directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # not the log itself, whose path names the scenario, and leads to the record
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise OnCallError(f"the operator {argv[0]!r} cannot be started: {error}") from error
        self._process = process
        self._logging = threading.Thread(target=_copy, args=(process.stdout, self._log), name="operator-log", daemon=True)
        self._logging.start()

    def _copy(self, rules: Sequence[str]) -> None:
        for n, file in enumerate(rules):
            try:
                (self._directory / _rules_name(n)).write_bytes(Path(file).read_bytes())
            except OSError as error:
                raise OnCallError(f"the rules {file!r} cannot be read: {error}") from error

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Of its process, while it is ours."""
        return self._process.pid if self._process else None

    def poll(self) -> int | None:
        """Its return code once it has ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """SIGTERM, then SIGKILL, for it and what it started (`sh -c`, a launcher); idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            _signal_group(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        if self._logging is not None:
            self._logging.join(_LOGGED_S)  # whoever left its session may hold the pipe open


def _found(word: str, *, program: bool) -> str:
    """A word of the command as the operator finds it, whose working directory is not ours: files of ours by their whole path."""
    by_path = "/" in word or not program  # a bare name of a program is looked for on the PATH
    try:
        # Not resolved: the `python` of an environment is a link to one that lacks its packages.
        return str(Path(word).absolute()) if by_path and Path(word).is_file() else word
    except OSError:  # longer than any name: a program in itself, as after `-c`
        return word


def _copy(said: IO[bytes], log: Path) -> None:
    """What the operator prints, as it comes, to its log."""
    with said, log.open("ab", buffering=0) as file:
        while chunk := os.read(said.fileno(), 65536):
            file.write(chunk)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """It leads a session of its own, so its group carries its pid, and keeps it as long as anybody is left in it."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def inbox_document(base_url: str, token: str) -> Mapping[str, Any]:
    """Where an operator speaks, as written into targets.yaml."""
    return {
        "claims": {name: f"{base_url}/claims/{name}" for name in ("alerts", "diagnoses", "escalations")},
        "actions": {"url": f"{base_url}/actions"},
        "token": token,
    }
