"""Commands on recorded runs and the operator: show it a run again, and what nobody notices when a part of it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, RUN, command, emit

if TYPE_CHECKING:
    from harness.replay.replaying import Replay


@command(epilog=EPILOG)
@RUN
@JSON
def replay(run: Path, as_json: bool) -> int:
    """Show a recorded run to the operator again, and score what it says.

    On a fake clock, from the record alone: minutes become seconds, and the same record gives the same answer, byte for byte. Judged
    are alerts, diagnoses, actions and escalations; what became of users is a fact of the run. Actions change nothing: from the first one
    in which replay and run differ, what hangs on it is INCONCLUSIVE.
    """
    from harness.replay.replaying import Source
    from harness.replay.replaying import replay as again

    found = again(Source.of(run))
    if as_json:
        emit(found.to_json())
    else:
        for line in _told(found):
            click.echo(line)
    return found.verdict.exit_code


def _told(found: Replay) -> Iterator[str]:
    verdict, close = found.verdict, found.fidelity
    yield f"{verdict.status.value}: {found.source.scenario.name} replayed: {verdict.reason}"
    yield from (f"- {r.status.value} {r.name} = {r.value} (limit {r.limit}): {r.reason}" for r in verdict.results)
    yield ""
    who = "the same operator, live" if close.same_operator else "the operator of the run, which was another one"
    yield f"Beside {who}: {close.agreeing} of {len(close.told)} claims agree within one sampling interval ({close.interval_s:.1f}s)"
    for told in close.told:
        live, replayed = (f"{t:.1f}s" if t is not None else "never" for t in (told.live_s, told.replayed_s))
        yield f"- {told.what} {told.name}: live {live}, replayed {replayed}"
    yield from (f"- not taken: {refused}" for refused in found.replayed.refused)
