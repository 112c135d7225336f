"""Commands on recorded runs and the operator: show it a run again, and what nobody notices when a part of it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, RUN, command, emit
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, OK

if TYPE_CHECKING:
    from harness.replay.mutation import Mutation
    from harness.replay.replaying import Replay


@command(epilog=EPILOG)
@RUN
@JSON
def replay(run: Path, as_json: bool) -> int:
    """Show a recorded run to the operator again.

    What it says is scored: on a fake clock, from the record alone: minutes become seconds, and the same record gives the same answer,
    byte for byte. Judged are alerts, diagnoses, actions and escalations; what became of users is a fact of the run. Actions change
    nothing: from the first one in which replay and run differ, what hangs on it is INCONCLUSIVE.
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


@command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN…", type=click.Path(path_type=Path))
@click.option(
    "--min-score", default=0.9, show_default=True, type=click.FloatRange(0.0, 1.0), metavar="S", help="Exit with 1 below that score."
)
@JSON
def mutate(runs: tuple[Path, ...], min_score: float, as_json: bool) -> int:
    """Say which parts of the operator nobody misses.

    They are taken away one at a time.

    Each rule and strategy is switched off, each metric withheld or delayed, in replays of the recorded runs. A mutant is noticed when a
    check that passed does not pass any more. What is never noticed could break tomorrow without a word.
    """
    from harness.replay.mutants import mutants
    from harness.replay.mutation import mutate as all_mutants
    from harness.replay.replaying import Source

    found = all_mutants([Source.of(run) for run in runs], mutants())
    if as_json:
        emit(found.to_json())
    else:
        for line in _fates(found):
            click.echo(line)
    if found.score is None:
        return INCONCLUSIVE
    return OK if found.score >= min_score else FAILED


def _fates(found: Mutation) -> Iterator[str]:
    score = "no score: no check of these runs passes" if found.score is None else f"score {found.score:.3f}"
    yield f"{score}: {found.killed} of {len(found.counted)} mutants noticed, {len(found.fates) - len(found.counted)} equivalent"
    for fate in found.fates:
        if fate.equivalent is not None:
            yield f"- equivalent {fate.mutant.name}: {fate.equivalent}"
        elif fate.kills:
            first = fate.kills[0]
            yield f"- noticed {fate.mutant.name}: {first.scenario} {first.check} is {first.status.value}"
        else:
            yield f"- SURVIVED {fate.mutant.name}" + (": claims differ, and no check asks" if fate.differs else ": no claim differs")
    yield from (f"- no check of {scenario} passes: it notices nothing" for scenario, passing in found.passing if not passing)
