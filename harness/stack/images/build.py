"""Builds the images that the engine lacks: each after its base, all else side by side."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from harness import __version__
from harness.record.clock import SystemClock
from harness.record.progress import UNTOLD, Progress
from harness.stack.images import context, debian, engine, plan, wheels
from harness.stack.images.plan import Plan
from harness.stack.images.recipes import NAMES, OPTIONAL, RECIPES, REPOSITORY, ImageError, Recipe

LABEL = "gauntlet.image"
"""On every image that is built here; its value is the image's name."""
_SITE = "/opt/gauntlet/site"
_STEPS = 2  # of each image: its files are there; it is built
_OURS = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Built:
    """One image on the engine; `seconds` is what building it took, 0 where it was there."""

    name: str
    reference: str
    id: str
    size_bytes: int
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For `gauntlet images build --json`."""
        return {
            "name": self.name,
            "reference": self.reference,
            "id": self.id,
            "size_bytes": self.size_bytes,
            "seconds": round(self.seconds, 2),
        }


def ensure(names: Collection[str]) -> Mapping[str, str]:
    """Build what the engine lacks of these images; name to reference (`rag-gauntlet/services:3f0c19aa52d1`). Raises ImageError."""
    return {built.name: built.reference for built in build(names)}


def build(
    names: Collection[str] = NAMES,
    base: str | None = None,
    tag: str | None = None,
    revision: str = "",
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = UNTOLD,
) -> list[Built]:
    """The images of these names, in their order; those are built that the engine lacks.

    `base` is an image with Python to build on instead of the release's packages; `tag` is a further name for each; `revision` is noted in
    what is built; `say` is told what has been built, `progress` of its steps. Raises ImageError for an unknown name, without an engine, and
    where a build fails.
    """
    if unknown := sorted(set(names) - RECIPES.keys()):
        raise ImageError(f"no image {', '.join(unknown)}; there are {', '.join((*NAMES, *OPTIONAL))}")
    engine.check()
    planned = Plan(base)
    missing = _missing(planned, names)
    with tempfile.TemporaryDirectory(prefix="gauntlet-images-") as work:
        took = _Build(planned, missing, revision, Path(work), say, progress).run()
    for name in names if tag else ():
        engine.tag(planned.reference(name), f"{REPOSITORY}/{name}:{tag}")
    return [_look(name, planned.reference(name), took.get(name, 0.0)) for name in names]


def listed() -> list[Built]:
    """Every image on the engine that was built by this project, by reference. Raises ImageError."""
    engine.check()
    return [_look(_name_of(reference), reference) for reference in sorted(engine.references(REPOSITORY, LABEL))]


def prune() -> list[str]:
    """Remove the images that the present sources do not lead to, those in use excepted; returns what was removed. Raises ImageError."""
    engine.check()
    planned = Plan()
    present = {planned.reference(name) for name in RECIPES}
    later_first = {name: -number for number, name in enumerate(RECIPES)}  # what builds on another goes before it
    old = [one for one in engine.references(REPOSITORY, LABEL) if plan.TAG.fullmatch(one.rpartition(":")[2]) and one not in present]
    return [one for one in sorted(old, key=lambda one: later_first.get(_name_of(one), 0)) if engine.remove(one)]


def _missing(planned: Plan, names: Collection[str]) -> list[str]:
    """What must be built, bases first. The base of an image that is there is not needed."""
    wanted: set[str] = set()

    def want(name: str | None) -> None:
        if name is not None and name not in wanted and engine.identity(planned.reference(name)) is None:
            wanted.add(name)
            want(planned.recipe_of_base(name))

    for name in names:
        want(name)
    return [name for name in RECIPES if name in wanted]


class _Build:
    """One build of several images."""

    def __init__(
        self, planned: Plan, missing: list[str], revision: str, work: Path, say: Callable[[str], None], progress: Progress
    ) -> None:
        self._plan = planned
        self._missing = missing
        self._revision = revision
        self._work = work
        self._say = say
        self._progress = progress
        self._telling = Lock()  # images are built side by side
        self._clock = SystemClock()

    def run(self) -> dict[str, float]:
        """Seconds that each took. Raises ImageError."""
        if not self._missing:
            return {}
        packages = {package for name in self._missing for package in RECIPES[name].packages}
        self._progress.begin(f"building {len(self._missing)} images", bool(packages) + _STEPS * len(self._missing))
        with ThreadPoolExecutor(len(self._missing) + 1) as pool:  # one each: an image waits for its base without keeping another's place
            root = pool.submit(self._unpack, packages) if packages else None
            tasks: dict[str, Future[float]] = {}
            for name in self._missing:
                base = tasks.get(self._plan.recipe_of_base(name) or "")
                tasks[name] = pool.submit(self._build, RECIPES[name], root, base)
            return {name: task.result() for name, task in tasks.items()}

    def _unpack(self, packages: Collection[str]) -> debian.Unpacked:
        unpacked = debian.unpack(packages, self._work)
        self._step()
        return unpacked

    def _step(self) -> None:
        with self._telling:
            self._progress.advance(1)

    def _build(self, recipe: Recipe, root: Future[debian.Unpacked] | None, base: Future[float] | None) -> float:
        begun_ns = self._clock.now_ns()
        folder = self._work / "contexts" / recipe.name
        folder.mkdir(parents=True)
        context.copy(plan.scripts(recipe), folder)
        if recipe.packages and root is not None:
            self._add_packages(recipe, root.result(), folder)
        if base is not None:
            base.result()
        if recipe.distributions:
            self._add_distributions(recipe, folder)
        if recipe.mocks:
            context.copy(plan.mocks(), folder)
        self._step()
        reference = self._plan.reference(recipe.name)
        engine.build(reference, context.archive(folder), {"BASE": self._plan.base_of(recipe.name)}, self._labels(recipe))
        seconds = (self._clock.now_ns() - begun_ns) / 1e9
        self._step()
        self._say(f"{reference}  {seconds:.1f} s")
        return seconds

    def _add_packages(self, recipe: Recipe, unpacked: debian.Unpacked, folder: Path) -> None:
        place, root = folder / "root", unpacked.root
        files = list(debian.matching(root, recipe.files, recipe.without))
        files += set(debian.papers(unpacked, files)) - set(files)
        context.copy(((str(path.relative_to(root)), path) for path in files), place)
        if recipe.bytecode and (library := place / f"usr/lib/python{_OURS}").is_dir():
            context.compile_sources(library, f"/usr/lib/python{_OURS}")

    def _add_distributions(self, recipe: Recipe, folder: Path) -> None:
        python = engine.python_version(self._plan.base_of(recipe.name)) if recipe.bytecode else _OURS
        pins = wheels.pinned(recipe.distributions, recipe.closure)
        context.copy(wheels.files(pins, recipe.keep, python, self._work / recipe.name), folder / "site")
        context.strip(folder / "site")
        if recipe.bytecode and python == _OURS:
            context.compile_sources(folder / "site", _SITE)

    def _labels(self, recipe: Recipe) -> dict[str, str]:
        return {
            LABEL: recipe.name,
            "org.opencontainers.image.title": f"{REPOSITORY}/{recipe.name}",
            "org.opencontainers.image.version": __version__,
            "org.opencontainers.image.licenses": "Apache-2.0",
            **({"org.opencontainers.image.revision": self._revision} if self._revision else {}),
        }


def _look(name: str, reference: str, seconds: float = 0.0) -> Built:
    described = engine.described([reference])
    if not described:
        raise ImageError(f"{reference} has gone from the engine meanwhile")
    return Built(name, reference, described[0]["Id"], described[0]["Size"], seconds)


def _name_of(reference: str) -> str:
    return reference.rpartition(":")[0].rpartition("/")[2]
