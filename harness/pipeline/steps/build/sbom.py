"""Bills of materials in CycloneDX 1.6: of the wheel with all it requires, and of each image; checked against the schema.

CycloneDX specification 1.6 (ECMA-424); package URLs as in github.com/package-url/purl-spec.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from harness import __version__
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.build.parts import Part, PartsError
from harness.pipeline.steps.build.parts_image import parts_of_image
from harness.pipeline.steps.build.parts_python import parts_of_wheel
from harness.record.clock import utc_now
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.stack.images import ImageError

OUTPUTS = {"wheel": "the bill of the wheel", "images": "those of the images, with a comma between two"}
_NAMESPACE = uuid.UUID("6f4c3a52-0d7e-5b5f-9d43-0a1f6f9f4b10")


class Sbom(Model):
    """Of what."""

    wheel: Path | None = Field(default=None, description="a wheel, with what pip would install beside it on this machine")
    extras: list[str] = Field(default_factory=list, description="extras of the wheel that are installed with it")
    images: str = Field(default="", description="images on the engine, with a comma between two: `${steps.images.references}`")


@dataclass(frozen=True, slots=True)
class Bill:
    """The first part holds the others. `lacks` says what is known to be missing."""

    parts: Sequence[Part]
    lacks: str = ""


def carry_out(options: Sbom, context: Context) -> StepResult:
    """Write one bill for the wheel and one for each image."""
    bills: dict[str, Bill] = {}
    try:
        if options.wheel is not None:
            context.say("asking pip what it would install beside the wheel")
            bills["wheel"] = Bill(parts_of_wheel((context.root / options.wheel).resolve(), options.extras, context))
        for reference in filter(None, options.images.split(",")):
            context.say(f"reading {reference}")
            parts, contents = parts_of_image(reference)
            lacks = "" if contents.system else f"the packages of {contents.release} that its files are of, as the image does not list them"
            bills[f"image-{_file_name(reference)}"] = Bill(parts, lacks)
    except (PartsError, ImageError) as error:
        return StepResult(Status.INCONCLUSIVE, str(error))
    if not bills:
        return StepResult(Status.INCONCLUSIVE, "neither a wheel nor an image was named: there is nothing to list")
    return _kept(bills, context)


def _kept(bills: Mapping[str, Bill], context: Context) -> StepResult:
    files = {name: context.directory / f"{name}.cdx.json" for name in bills}
    for name, bill in bills.items():
        text = render(bill)
        files[name].write_text(text, encoding="utf-8")
        if (trouble := invalid(text)) is not None:
            return StepResult(Status.INCONCLUSIVE, f"{files[name].name} does not keep to CycloneDX 1.6: {trouble}")
    outputs = {"images": ",".join(str(file) for name, file in files.items() if name != "wheel")}
    outputs |= {"wheel": str(files["wheel"])} if "wheel" in files else {}
    told = f"components: {', '.join(f'{len(bill.parts) - 1} in {name}' for name, bill in bills.items())}"
    lacking = [name for name, bill in bills.items() if bill.lacks]
    if not lacking:
        return StepResult(Status.PASS, told, evidence=files, outputs=outputs)
    doubt = f"{len(lacking)} of {len(bills)} bills lack {bills[lacking[0]].lacks}: {', '.join(lacking)}"
    return StepResult(Status.WARN, f"{doubt}; {told}", evidence=files, outputs=outputs)


def render(bill: Bill) -> str:
    """The document. What the bill lacks is told in a property of its metadata, `gauntlet:lacks`."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import Tool
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    components = {
        part.ref: Component(
            type=ComponentType(part.kind),
            name=part.name,
            version=part.version,
            bom_ref=BomRef(part.ref),
            purl=PackageURL.from_string(part.ref) if part.ref.startswith("pkg:") else None,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else (),
            licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else (),
        )
        for part in bill.parts
    }
    root = bill.parts[0]
    serial = uuid.uuid5(_NAMESPACE, f"{root.ref} {root.sha256}")
    bom = Bom(components=[components[part.ref] for part in bill.parts[1:]], serial_number=serial)
    bom.metadata.timestamp = utc_now()
    bom.metadata.component = components[root.ref]
    bom.metadata.tools.tools.add(Tool(name="rag-gauntlet", version=__version__))
    if bill.lacks:
        bom.metadata.properties.add(Property(name="gauntlet:lacks", value=bill.lacks))
    for part in bill.parts:
        bom.register_dependency(components[part.ref], [components[ref] for ref in part.requires if ref in components])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def invalid(text: str) -> str | None:
    """What the schema says against a bill; None for a valid one."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return None if error is None else str(error)[:300]


def _file_name(reference: str) -> str:
    return reference.rpartition("/")[2].replace(":", "-")
