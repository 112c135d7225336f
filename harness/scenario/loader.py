"""A scenario file to a validated `Scenario`, or to problems with file, line and column: never a traceback."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.scenario import document
from harness.scenario.explain import problems_of
from harness.scenario.model import Scenario
from harness.scenario.problem import KeyPath, Positions, Problem, ScenarioError, Severity

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario with its text, and where each part of it stands."""

    scenario: Scenario
    positions: Positions
    text: str
    path: str

    def at(self, where: KeyPath, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem with the value at `where`."""
        place = self.positions.value(where)
        return Problem(self.path, place.line, place.column, message, hint, severity)

    def at_key(self, where: KeyPath, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem with the key at `where`."""
        place = self.positions.key(where)
        return Problem(self.path, place.line, place.column, message, hint, severity)


def load_scenario(path: Path | str) -> Loaded:
    """Read one scenario file (UTF-8 YAML, at most 1 MiB). Raises ScenarioError."""
    return load_text(read_text(Path(path)), str(path))


def load_text(text: str, path: str = "<text>") -> Loaded:
    """The same from text; `path` is what problems call it. Raises ScenarioError."""
    data, positions = document.parse(text, path)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(problems_of(error, Scenario, data, positions, path)) from None
    return Loaded(scenario=scenario, positions=positions, text=text, path=path)


def read_text(path: Path, kind: document.Kind = document.SCENARIO) -> str:
    """The text of a file that somebody wrote by hand. Raises ScenarioError."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _refused(path, "this is a directory", f"give the file of {kind.name}")
        if not stat.S_ISREG(mode):
            raise _refused(path, "this is no regular file", f"give the file of {kind.name}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        also = "; `gauntlet init` writes one" if kind is document.SCENARIO else ""
        raise _refused(path, "no such file", f"give the path of {kind.name}{also}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(path, f"cannot be read: {reason}", "") from None
    if len(data) > MAX_BYTES:
        raise _refused(path, f"larger than {MAX_BYTES // 1024} KiB", f"{kind.name} is about 40 lines; is this the right file?")
    return _decode(data, path)


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", errors="replace")) + 1
        message = f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8"
        raise ScenarioError([Problem(str(path), line, column, message, "save the file as UTF-8")]) from None


def _refused(path: Path, message: str, hint: str) -> ScenarioError:
    return ScenarioError([Problem(str(path), 1, 1, message, hint)])
