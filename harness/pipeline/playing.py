"""`gauntlet pipeline run`: from a file to a run on disk, and what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import __version__
from harness.lifecycle.host import facts
from harness.lifecycle.signals import interruptible
from harness.pipeline import directory, earlier, fingerprint, reading
from harness.pipeline.child import GRACE_S
from harness.pipeline.engine import Engine
from harness.pipeline.fingerprint import Tree
from harness.pipeline.loading import LoadedPipeline
from harness.pipeline.reading import PipelineRecord
from harness.pipeline.report import writing
from harness.pipeline.selection import Selection
from harness.pipeline.workshop import ProcessWorkshop
from harness.record.clock import Clock, SystemClock, utc_now, wall_anchor
from harness.record.journal import Journal
from harness.scenario.problem import Problem, ScenarioError, did_you_mean


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. `observe` is shown the run as it goes."""

    out: Path
    selection: Selection
    say: Callable[[str], None]
    observe: Callable[[PipelineRecord], None] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clock: Clock = field(default_factory=SystemClock)
    grace_s: float = GRACE_S
    strict: bool = False


def play(loaded: LoadedPipeline, options: Options) -> PipelineRecord:
    """Run it, and write its reports. Raises ScenarioError before anything has started, or RecordError."""
    pipeline = loaded.pipeline
    _refuse_unknown(loaded, options.selection)
    ways = options.selection.ways(pipeline)
    if unset := loaded.unset(options.environment, {name for name, way in ways.items() if way != "left_out"}):
        raise ScenarioError(unset)
    root = fingerprint.top(Path(loaded.path).resolve().parent)
    tree = fingerprint.tree(root, options.out)
    before = earlier.read(options.out, pipeline.name)
    place = directory.create(options.out, pipeline.name, utc_now(), tree.short)
    run = _run_file(loaded, options, root, tree, [name for name, way in ways.items() if way in ("fresh", "resume")])
    place.write_run_file(run)
    for line in _remarks(tree):
        options.say(line)
    workshop = ProcessWorkshop(place, root, tree, options.environment, options.grace_s)
    journal = Journal(place.events)
    try:
        with interruptible() as seen:
            engine = Engine(
                pipeline, ways, run, place, workshop, before, journal.append, options.clock, lambda: seen.signal, options.grace_s
            )
            engine.play(options.observe)
    finally:
        journal.close()
    record = reading.read(place.path)
    writing.write(record, strict=options.strict)
    return record


def _refuse_unknown(loaded: LoadedPipeline, selection: Selection) -> None:
    at = loaded.positions.key(("stages",))
    found = [
        Problem(loaded.path, at.line, at.column, f"there is no stage {name!r}", did_you_mean(name, loaded.pipeline.stages))
        for name in selection.unknown(loaded.pipeline)
    ]
    if found:
        raise ScenarioError(found)


def _run_file(loaded: LoadedPipeline, options: Options, root: Path, tree: Tree, selected: list[str]) -> dict[str, object]:
    return {
        "pipeline": loaded.pipeline.model_dump(mode="json", by_alias=True),
        "file": loaded.path,
        "root": str(root),
        "argv": sys.argv,
        "selected": selected,
        "resume": options.selection.resume,
        "git": {"sha": tree.sha, "dirty": tree.dirty, "content": tree.content},
        "version": __version__,
        "host": facts(),
        "clock": asdict(wall_anchor()),
    }


def _remarks(tree: Tree) -> list[str]:
    if tree.content is None:
        return ["no git repository: nothing can be taken from an earlier run, and nothing says what was built"]
    return [f"the tree at {tree.short} has changes that are not committed: what is built is not what the commit says"] if tree.dirty else []
