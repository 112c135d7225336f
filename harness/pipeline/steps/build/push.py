"""Images, pushed to a registry, and looked up there again: what the registry has is what was built.

OCI distribution specification 1.1 (github.com/opencontainers/distribution-spec): manifests and blobs by digest.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field, field_validator

from harness.pipeline.programs import ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.build.registry_api import Registry, RegistryError
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.stack.images import ImageError
from harness.stack.images.engine import check, identity, remove, tag

OUTPUTS = {"references": "what was pushed, by digest, with a comma between two"}
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+)(?::\d{1,5})?")


class Push(Model):
    """What, and where to."""

    images: str = Field(min_length=1, description="images on the engine, with a comma between two: `${steps.images.references}`")
    registry: str = Field(default="127.0.0.1:5000", description="host and port of the registry")
    anywhere: bool = Field(default=False, description="a registry that is not on this machine is meant")

    @field_validator("registry")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if not _ADDRESS.fullmatch(text):
            raise ValueError(f"{text!r} is no address of a registry; write host:port, without a scheme")
        return text


@dataclass(frozen=True, slots=True)
class Pushed:
    """One image in the registry. `digest` is that of its manifest."""

    image: str
    reference: str
    digest: str
    bytes: int


def carry_out(options: Push, context: Context) -> StepResult:
    """Push each, then ask the registry for it."""
    local = _is_loopback(options.registry)
    if not local and not options.anywhere:
        return StepResult(Status.INCONCLUSIVE, f"{options.registry} is not this machine; write `anywhere: true` if it is meant")
    registry = Registry(options.registry, secure=not local)
    pushed: list[Pushed] = []
    try:
        check()
        registry.answers()
        for image in filter(None, options.images.split(",")):
            context.say(f"pushes {image}")
            pushed.append(_push(image, options.registry, registry, context))
    except (ImageError, RegistryError) as error:
        status = Status.FAIL if isinstance(error, RegistryError) and error.conclusive else Status.INCONCLUSIVE
        return StepResult(status, str(error))
    kept = context.directory / "pushed.json"
    kept.write_text(json.dumps({"pushed": [asdict(one) for one in pushed]}, indent=2) + "\n", encoding="utf-8")
    told = f"{len(pushed)} images in {options.registry}, by the digests that were pushed"
    return StepResult(Status.PASS, told, evidence={"pushed": kept}, outputs={"references": ",".join(one.reference for one in pushed)})


def _push(image: str, address: str, registry: Registry, context: Context) -> Pushed:
    """Raises ImageError or RegistryError."""
    config = identity(image)
    if config is None:
        raise ImageError(f"there is no image {image} on the engine")
    name, _, version = image.rpartition(":")
    there = f"{address}/{name}:{version}"
    tag(image, there)
    try:
        ended = carry_out_program(["docker", "push", there], context)
    except ProgramError as error:
        raise ImageError(str(error)) from error
    finally:
        remove(there)  # the name alone: the image keeps its own
    told = next((match[1] for line in ended.lines if (match := re.search(r"digest: (sha256:[0-9a-f]{64})", line))), None)
    if ended.code != 0 or told is None:
        raise ImageError(f"{image} cannot be pushed ({ended.how}): {ended.last}")
    found = registry.manifest(name, version)
    compare(image, told, config, found.digest, found.document)
    registry.has(name, _blobs(found.document))
    return Pushed(image, f"{address}/{name}@{found.digest}", found.digest, sum(int(layer["size"]) for layer in found.document["layers"]))


def compare(image: str, told: str, config: str, digest: str, document: Mapping[str, Any]) -> None:
    """The manifest is the one that was pushed, and of the image that was built. Raises RegistryError."""
    if digest != told:
        raise RegistryError(f"{image}: pushed as {told}, but the registry has {digest}", conclusive=True)
    there = document.get("config", {}).get("digest")
    if there != config:
        raise RegistryError(f"{image}: the registry has an image of configuration {there}, and {config} was built", conclusive=True)


def _blobs(document: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    return [(str(blob["digest"]), int(blob["size"])) for blob in (document["config"], *document["layers"])]


def _is_loopback(registry: str) -> bool:
    match = _ADDRESS.fullmatch(registry)
    host = match["host"].strip("[]") if match else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
