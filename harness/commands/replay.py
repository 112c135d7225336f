"""Commands on recorded runs and an operator: show it a run again, and what nobody notices when a part of it is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, RUN, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, OK, USAGE
from harness.record.events import OPERATOR
from harness.record.progress import Progress

if TYPE_CHECKING:
    from harness.replay.mutation import Mutation
    from harness.replay.replaying import Replay, Source
    from harness.scenario.model import Scenario

_SCENARIO_FILE = click.Path(path_type=Path)
_NEWER = "Ask what FILE expects, a newer text of the scenario that was run."


@command(epilog=EPILOG)
@RUN
@click.option(
    "--operator",
    metavar="CMD",
    help="An operator of your own: a command that reads rounds as lines of JSON, and answers each with one (docs/replay.md).",
)
@click.option("--scenario", metavar="FILE", type=_SCENARIO_FILE, help=_NEWER)
@JSON
def replay(run: Path, operator: str | None, scenario: Path | None, as_json: bool) -> int:
    """Show a recorded run to the operator again.

    What it says is scored: on a fake clock, from the record alone: minutes become seconds, and the same record gives the same answer,
    byte for byte. Judged are alerts, diagnoses, actions and escalations; what became of users is a fact of the run. Actions change
    nothing: from the first one in which replay and run differ, what hangs on it is INCONCLUSIVE.
    """
    from harness.replay.outside import OutsideError, outside
    from harness.replay.replaying import replay as again
    from harness.replay.replaying import replay_outside
    from harness.report.progress import ProgressView

    try:
        with ProgressView(quiet=as_json) as view, ExitStack() as started:
            (source,) = _sources((run,), (scenario,) if scenario is not None else (), view.progress)
            if operator is None:
                found = again(source, progress=view.progress)
            else:
                found = replay_outside(source, started.enter_context(outside(_argv(operator))), view.progress)
    except OutsideError as error:
        raise CommandError(USAGE, error) from error
    if as_json:
        emit(found.to_json())
    else:
        for line in _told(found):
            click.echo(line)
    return found.verdict.exit_code


def _sources(runs: tuple[Path, ...], files: tuple[Path, ...], progress: Progress) -> list[Source]:
    """The runs, each asked what the file of its scenario expects, where there is one. A file of no run's scenario is a mistake."""
    from harness.replay.replaying import Source
    from harness.scenario.loader import load_scenario

    newer: dict[str, tuple[Scenario, Path]] = {}
    for file in files:
        scenario = load_scenario(file).scenario
        newer[scenario.name] = (scenario, file)
    sources = [Source.of(run, progress) for run in runs]
    for name, (_, file) in newer.items():
        if name not in {source.scenario.name for source in sources}:
            raise CommandError(USAGE, f"--scenario {file}: none of these runs is one of {name}")
    return [source.asking(*newer[source.scenario.name]) if source.scenario.name in newer else source for source in sources]


def _argv(text: str) -> list[str]:
    try:
        argv = shlex.split(text)
    except ValueError as error:
        raise CommandError(USAGE, f"--operator {text!r}: {error}; write it as in a shell") from error
    if not argv:
        raise CommandError(USAGE, "--operator: no command; write for example --operator 'python agent.py'")
    return argv


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
    ended = [e.data["detail"] for e in found.replayed.events if e.kind == OPERATOR and e.data["state"] == "exited"]
    yield from (f"- the operator has died: {why}" for why in ended)
    yield from (f"- not taken: {refused}" for refused in found.replayed.refused)


@command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN…", type=click.Path(path_type=Path))
@click.option(
    "--min-score", default=0.9, show_default=True, type=click.FloatRange(0.0, 1.0), metavar="S", help="Exit with 1 below that score."
)
@click.option(
    "--min-reach",
    default=0.25,
    show_default=True,
    type=click.FloatRange(0.0, 1.0),
    metavar="R",
    help="Exit with 3 where the runs reach a smaller share of all mutants.",
)
@click.option("--scenario", multiple=True, metavar="FILE", type=_SCENARIO_FILE, help=_NEWER + " As often as there are scenarios.")
@click.option("--live", is_flag=True, help="Run scenarios again, with an operator without one strategy each. Says first how long it takes.")
@click.option("--out", default=Path("runs"), show_default=True, type=click.Path(path_type=Path), help="Where live runs are recorded.")
@JSON
def mutate(
    runs: tuple[Path, ...], min_score: float, min_reach: float, scenario: tuple[Path, ...], live: bool, out: Path, as_json: bool
) -> int:
    """Say which parts of the operator nobody misses.

    They are taken away one at a time.

    Each rule and strategy is switched off, each metric withheld or delayed, in replays of the recorded runs. A mutant is noticed when a
    check that passed does not pass any more. What is never noticed could break tomorrow without a word; what no run reaches is counted
    apart. With --live, each strategy that the runs used is missing in one run of their scenario.
    """
    from harness.replay.mutants import mutants
    from harness.replay.mutation import mutate as all_mutants
    from harness.report.progress import ProgressView

    if live and scenario:
        raise CommandError(USAGE, "--live runs the scenarios of the runs again, as they were: leave out --scenario")
    if live:
        from harness.commands.replay_live import mutate_live

        return mutate_live(runs, min_score, out, as_json)
    with ProgressView(quiet=as_json) as view:
        found = all_mutants(_sources(runs, scenario, view.progress), mutants(), progress=view.progress)
    if as_json:
        emit(found.to_json())
    else:
        for line in _fates(found):
            click.echo(line)
    if found.score is None:
        return INCONCLUSIVE
    if found.reach < min_reach:
        say(f"these runs reach {found.reach:.0%} of all mutants, and {min_reach:.0%} are wanted: add runs of other scenarios")
        return INCONCLUSIVE if found.score >= min_score else FAILED
    return OK if found.score >= min_score else FAILED


def _fates(found: Mutation) -> Iterator[str]:
    score = "no score: no check passes, or no mutant makes a difference" if found.score is None else f"score {found.score:.3f}"
    reach = f"they reach {found.reach:.0%} of {len(found.told)}"
    yield f"{score}: {found.killed} of {found.reached} mutants that these runs reach are noticed; {reach}"
    for kind, fates in found.by_kind().items():
        yield f"- {kind}: " + ", ".join(f"{n} {fate}" for fate, n in fates.items())
    for told in found.told:
        if told.kills:
            first = told.kills[0]
            yield f"- noticed {told.mutant.name}: {first.scenario} {first.check} is {first.status.value}"
        else:
            yield f"- {_WORDS[told.fate.value]}".format(told.mutant.name)
            yield from (f"  {m.scenario} {m.check}: {m.mutant}, with it {m.whole} (limit {m.limit})" for m in told.moved)
    yield from (f"- no check of {scenario} passes: it notices nothing" for scenario, passing in found.passing if not passing)


_WORDS = {
    "unasked": "SURVIVED {}: the operator says something else, and no check asks",
    "covered": "SURVIVED {}: other symptoms, and the operator says the same for other reasons",
    "unreached": "not reached {}: it makes no difference in these runs",
}
