"""Is a built image fit to run? Its user, health check, secrets in settings, history and files, and packages with security updates."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from harness.findings import Finding
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.scenario.fields import Model
from harness.security import images
from harness.security.distribution import Archives, DistributionError, Holdings, held
from harness.security.images import Docker, Engine, EngineError


def _separated(given: object) -> object:
    """What a step hands on is one text."""
    return [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given


class Image(Model):
    """Which images."""

    images: Annotated[list[str], Field(min_length=1), BeforeValidator(_separated)] = Field(
        description="references, as the engine of this machine knows them; or a text with a comma between two: `${steps.images.references}`"
    )
    packages: bool = Field(
        default=True,
        description="compare its packages with the security archive: by apt here, where it is of the same release, else by apt inside",
    )


def carry_out(options: Image, context: Context) -> StepResult:
    """FAIL for root, a secret or a package with a security update; INCONCLUSIVE without an engine, or where apt cannot ask."""
    with Archives() as archives:
        return looked_at(options, context, Docker(), archives)


def looked_at(options: Image, context: Context, engine: Engine, archives: Archives) -> StepResult:
    """The same, by any engine and archives."""
    findings: list[Finding] = []
    doubts: list[str] = []
    files = packages = 0
    for reference in options.images:
        context.say(f"looking into {reference}")
        place = f"image:{reference}"
        try:
            findings += [*images.settings(engine.inspect(reference), place), *images.in_history(engine.history(reference), place)]
            with engine.export(reference) as archive:
                found, count = images.in_files(archive, place)
                archive.seek(0)
                holdings = held(archive)
            findings += found
            files += count
        except (EngineError, DistributionError) as error:
            doubts.append(f"{reference}: {error}")
            continue
        if options.packages:
            try:
                findings += _outdated(reference, holdings, engine, archives)
            except DistributionError as error:
                doubts.append(f"{reference}: its packages could not be compared with the distribution's: {error}")
                continue
        packages += len(holdings.packages)
    compared = f" and {packages} packages of a distribution" if options.packages else ""
    return answer(context, "image", findings, f"{len(options.images)} images with {files} files{compared}: nothing above a note", doubts)


def _outdated(reference: str, holdings: Holdings, engine: Engine, archives: Archives) -> list[Finding]:
    """By the lists in the image, which need neither apt nor a network inside; else by its own apt. Raises DistributionError."""
    try:
        return images.outdated(archives.updates(holdings), f"image:{reference}")
    except DistributionError as here:
        try:
            return images.upgrades(engine.upgrades(reference), f"image:{reference}")
        except EngineError as inside:
            raise DistributionError(f"{here}; inside: {inside}") from inside
