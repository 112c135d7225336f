"""A scenario carried out by the command line, as a child of the tests, and what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.testing.proof import CheckFailedError, InconclusiveError

END_WITHIN_S = 90.0
"""How long a run that is told to end may take to heal, to prove it, and to stop its stack; then its watchdog does it."""
PASSED, FAILED, USAGE, INCONCLUSIVE, NOT_STARTED = 0, 1, 2, 3, 4
MOST_LINES = 30
_LAST_WORDS = 3_000
_ROOT = Path(__file__).resolve().parents[2]


class ScenarioRefusedError(InconclusiveError):
    """The scenario, or an option, cannot be used: the text is what `gauntlet check` says."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a run: a row of `checks` in verdict.json (docs/verdict.md)."""

    name: str
    status: str
    reason: str
    value: float | str | None = None
    limit: str | None = None
    unit: str = ""
    samples: int | None = None

    def line(self) -> str:
        """`fault.availability = 91.2% (limit >= 97%, n=800): why`."""
        from harness.score.show import show

        value = "" if self.value is None else f" = {show(self.value, self.unit)}"
        facts = [f"limit {self.limit}" if self.limit else "", f"n={self.samples}" if self.samples is not None else ""]
        told = ", ".join(fact for fact in facts if fact)
        return f"{self.name}{value}{f' ({told})' if told else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """A run that has ended. `document` is what `gauntlet run --json` printed, `log` the end of what it told beside that."""

    file: str
    exit_code: int
    document: Mapping[str, Any]
    log: str = ""

    @property
    def verdict(self) -> str | None:
        """PASS, WARN, FAIL or INCONCLUSIVE; None where there is none: the stack did not start."""
        return self.document.get("verdict")

    @property
    def reason(self) -> str:
        return str(self.document.get("reason") or self.document.get("error") or self.log or "it told nothing")

    @property
    def run_dir(self) -> Path | None:
        """The run record; None where nothing was recorded."""
        found = self.document.get("run_dir")
        return None if found is None else Path(found)

    @property
    def checks(self) -> Mapping[str, Check]:
        """By name, in the order of the verdict."""
        rows: Sequence[Mapping[str, Any]] = self.document.get("checks", ())
        return {row["name"]: Check(**{key: row[key] for key in Check.__slots__ if key in row}) for row in rows}

    def assert_passes(self) -> ScenarioRun:
        """Nothing where the exit code is 0. Raises AssertionError for FAIL, else one that says what could not be told, with all of it."""
        __tracebackhide__ = True
        if self.exit_code == PASSED:
            return self
        if self.exit_code == USAGE:
            raise ScenarioRefusedError(self.reason)
        raise (CheckFailedError if self.exit_code == FAILED else InconclusiveError)(self.story())

    def assert_check(self, name: str) -> Check:
        """The same for one check; one that was not judged is InconclusiveError."""
        __tracebackhide__ = True
        found = self.checks.get(name)
        if found is None:
            raise InconclusiveError(f"{self.file}: {name} was not judged: {self.reason}")
        if found.status in ("FAIL", "INCONCLUSIVE"):
            raise (CheckFailedError if found.status == "FAIL" else InconclusiveError)(f"{found.status}: {found.line()}\n{self._where()}")
        return found

    def story(self) -> str:
        """Verdict, every check that did not pass (the worst first), and where the record lies."""
        if self.verdict is None:
            return f"{self.file}: no verdict (exit code {self.exit_code}): {self.reason}\n{self.log}".rstrip()
        bad = [check for status in ("FAIL", "INCONCLUSIVE", "WARN") for check in self.checks.values() if check.status == status]
        lines = [f"  {check.status:<13} {check.line()}" for check in bad[:MOST_LINES]]
        more = [f"  and {len(bad) - MOST_LINES} more"] if len(bad) > MOST_LINES else []
        return "\n".join([f"{self.verdict}: {self.file}: {self.reason}", *lines, *more, self._where()])

    def _where(self) -> str:
        again = self.document.get("run", {}).get("reproduce", "")
        return f"repeat: {again}\nrecord: {self.run_dir}"


def carry_out(file: Path, options: Sequence[str], place: Path) -> ScenarioRun:
    """`gauntlet run FILE --json` in `place`, to its end. Whatever interrupts us ends it in order: healed, and proved healed."""
    from harness.lifecycle.parent_death import end_with_parent

    named = str(file.relative_to(place) if file.is_relative_to(place) else file)
    command = (sys.executable, "-P", "-m", "harness.cli", "run", named, "--json", *options)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=place,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for us, who pass it on
            preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # the child calls prctl and getppid alone
        )
        try:
            out, _ = process.communicate()
        except BaseException:
            end_in_order(process, signal.SIGINT)
            raise
        errors.seek(0)
        log = errors.read()[-_LAST_WORDS:].decode(errors="replace").strip()
    return ScenarioRun(named, process.returncode, _document(out), log)


def environment() -> dict[str, str]:
    """Ours, in which `harness` and `mocks` are found wherever they lie."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))}


def end_in_order(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGTERM) -> None:
    """Let a child of ours end by itself; after END_WITHIN_S by force, and then its watchdog cleans up."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.communicate(timeout=END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _document(out: bytes) -> Mapping[str, Any]:
    """Empty where the program was killed before it could say anything."""
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
