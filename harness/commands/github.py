"""What commands about runs tell GitHub, where they run there or are asked to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import CommandError, say
from harness.lifecycle.exit_codes import USAGE

if TYPE_CHECKING:
    from harness.judging import Judged
    from harness.report.github import Part

GITHUB = click.option(
    "--github",
    envvar="GITHUB_STEP_SUMMARY",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Append a job summary to FILE, and write annotations to standard error; in GitHub Actions without asking.",
)


def tell_github(summary: Path | None, parts: Sequence[Part]) -> None:
    """The summary, within what is left of a step's, and the annotations. Raises CommandError for a file that cannot be written."""
    from harness.report import github

    if summary is None and os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in github.workflow_commands(parts):
        say(line)
    if summary is None:
        return
    try:
        there = summary.stat().st_size if summary.exists() else 0
        text = github.summary(parts, max(0, github.SUMMARY_BYTES - there - 1))
        with summary.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text and text + "\n")
    except OSError as error:
        raise CommandError(USAGE, f"--github {summary}: {error.strerror}") from error


def part_of(judged: Judged) -> Part:
    """Of one run that was judged."""
    from harness.report import github
    from harness.report.material import Material
    from harness.report.places import Places
    from harness.scenario.loader import load_text

    file = str(judged.history.run.get("scenario_file") or judged.directory.scenario_file)
    loaded = load_text(judged.directory.scenario_file.read_text(encoding="utf-8-sig"), _from_here(file))
    return github.part(Material(judged.verdict, judged.history, judged.scenario), Places(loaded), _from_here(str(judged.directory.path)))


def part_of_none(file: str, reason: str) -> Part:
    """Of one run that did not start."""
    from harness.report import github

    return github.not_started(_from_here(file), reason)


def _from_here(path: str) -> str:
    """As a path of the repository, which is where commands are given."""
    given = Path(path)
    return str(given.relative_to(Path.cwd())) if given.is_absolute() and given.is_relative_to(Path.cwd()) else path
