"""A part of a load that runs on another host than its master."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click

from harness.commands.console import EPILOG, CommandError, ExitCodeCommand
from harness.lifecycle.exit_codes import USAGE
from harness.load.plan import ENGINE_MODULES

TOKEN_VARIABLE = "GAUNTLET_WORKER_TOKEN"


@click.group(epilog=EPILOG)
def load() -> None:
    """The load generator alone."""


@load.command("worker", cls=ExitCodeCommand)
@click.argument("master", metavar="HOST:PORT")
@click.option(
    "--engine", type=click.Choice(["locust", "asyncio"]), default="locust", help="That of the scenario's load.", show_default=True
)
def worker(master: str, engine: str) -> int:
    """Send a share of a load that a run on another host carries out.

    HOST:PORT is what `load: {listen: …}` says there; GAUNTLET_WORKER_TOKEN must be the same here and there.
    """
    if not re.fullmatch(r"\S+:\d{1,5}", master):
        raise CommandError(USAGE, f"{master!r} is no address; write HOST:PORT, as `listen` of the scenario's load has it")
    if not os.environ.get(TOKEN_VARIABLE):
        raise CommandError(USAGE, f"the master asks for a token; set {TOKEN_VARIABLE} to what it is there")
    return subprocess.run([sys.executable, "-P", "-m", ENGINE_MODULES[engine], "--worker", master], check=False).returncode
