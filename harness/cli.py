"""The command line: puts the commands together. The only place from which the program exits."""

from __future__ import annotations

import click

from harness import __version__
from harness.commands.audit import audit
from harness.commands.catalogue import faults
from harness.commands.compare import baseline, compare
from harness.commands.console import EPILOG
from harness.commands.deploy import deploy
from harness.commands.diff import diff
from harness.commands.environments import config
from harness.commands.files import check, init, schema
from harness.commands.gameday import gameday
from harness.commands.health import health
from harness.commands.images import images
from harness.commands.kubernetes import kubernetes
from harness.commands.load import load
from harness.commands.logs import logs
from harness.commands.machine import clean, completion, doctor, down, up
from harness.commands.mocks import mock
from harness.commands.offline import detect, diagnose
from harness.commands.openslo import openslo
from harness.commands.pipeline import pipeline
from harness.commands.replay import mutate, replay
from harness.commands.rules import rules
from harness.commands.runs import judge, list_runs, report, run, show, stop
from harness.commands.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EPILOG)
@click.version_option(__version__, prog_name="gauntlet")
def cli() -> None:
    """Break a RAG stack under load; learn whether users are served, alerts fire, the right service is named, it heals by
    itself — and whether this build may ship.

    \b
      gauntlet run scenarios/llm-brownout.yaml     run one scenario, end with one verdict
      gauntlet check my-scenario.yaml              say what is wrong with a file, without starting anything
      gauntlet judge runs/llm-brownout/…           judge a recorded run again, from disk
    """


for _command in (
    run,
    stop,
    gameday,
    judge,
    show,
    report,
    list_runs,
    compare,
    diff,
    baseline,
    check,
    schema,
    init,
    faults,
    mock,
    images,
    openslo,
    rules,
    audit,
    kubernetes,
    pipeline,
    load,
    watch,
    health,
    logs,
    detect,
    diagnose,
    replay,
    mutate,
    deploy,
    config,
    doctor,
    clean,
    up,
    down,
    completion,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `gauntlet` command. Exits with the code that the command returned (harness/lifecycle/exit_codes.py)."""
    cli(prog_name="gauntlet")


if __name__ == "__main__":
    main()
