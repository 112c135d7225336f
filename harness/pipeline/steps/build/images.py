"""The container images of the reference stack, as `gauntlet images build` makes them."""

from __future__ import annotations

import json

from pydantic import Field

from harness.lifecycle.host import revision
from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.stack.images import NAMES, ImageError, build, deployment
from harness.stack.images.engine import check

OUTPUTS = {"references": "the images, with a comma between two", "ids": "`name=sha256:…` of each, with a comma between two"}


class Images(Model):
    """Which images, and of what."""

    names: list[str] = Field(default_factory=list, description="`gauntlet images list` shows them; default: all of the reference stack")
    base: str | None = Field(default=None, description="an image with Python to build on, rather than the packages of this release")
    tag: str = Field(default="latest", description="a further tag, beside the hash of what an image is made of")


def carry_out(options: Images, context: Context) -> StepResult:
    """Build what the engine lacks; where no engine answers, nothing can be told."""
    try:
        check()
    except ImageError as error:
        return StepResult(Status.INCONCLUSIVE, str(error))
    try:
        built = build(options.names or NAMES, options.base, options.tag, revision(deployment()).sha, context.say)
    except ImageError as error:
        return StepResult(Status.FAIL, str(error))
    kept = context.directory / "images.json"
    kept.write_text(json.dumps({"images": [image.to_json() for image in built]}, indent=2) + "\n", encoding="utf-8")
    outputs = {"references": ",".join(image.reference for image in built), "ids": ",".join(f"{image.name}={image.id}" for image in built)}
    fresh = sum(image.seconds > 0 for image in built)
    return StepResult(Status.PASS, f"{len(built)} images, {fresh} of them new", evidence={"images": kept}, outputs=outputs)
