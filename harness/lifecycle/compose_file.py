"""A look at the compose file that a scenario names, as far as compose itself is here to read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem
from harness.stack.base import StackError
from harness.stack.compose import cli
from harness.stack.compose.project import misfits


def check_file_of(loaded: Loaded) -> Iterator[Problem]:
    """What the file and the scenario's `stack` do not agree on; nothing for a stack of another kind."""
    spec = loaded.scenario.stack
    if spec.use != "compose" or spec.file is None:
        return
    where: KeyPath = ("stack", "file")
    if not Path(spec.file).is_file():
        yield loaded.at(where, f"there is no file {spec.file!r} in {Path.cwd()}", "write its path from where gauntlet is started")
        return
    if (reason := cli.why_not()) is not None:
        yield loaded.at(where, f"the file cannot be read here, and no run can start: {reason}", "", "warning")
        return
    try:
        resolved = cli.resolve(Path(spec.file))
    except StackError as error:
        yield loaded.at(where, str(error))
        return
    for service, text in misfits(resolved, spec):
        message, _, hint = text.partition("; ")
        yield loaded.at_key(("stack", "services", service) if service is not None else ("stack", "llm"), message, hint)
