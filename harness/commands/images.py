"""Commands about the container images of the reference stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import NOT_STARTED, OK, USAGE

if TYPE_CHECKING:
    from harness.stack.images import Built


@command("build")
@click.option("--only", "names", multiple=True, metavar="NAME", help="This image alone; may be repeated.")
@click.option("--tag", default="latest", show_default=True, metavar="T", help="A further tag, beside the hash of what an image is made of.")
@click.option("--base", metavar="IMAGE", help="Build on this image, which has Python, rather than on the packages of this Debian release.")
@JSON
def build_images(names: tuple[str, ...], tag: str, base: str | None, as_json: bool) -> int:
    """Build what the Docker engine lacks of the images.

    No registry is asked: programs come from packages of the Debian or Ubuntu release at hand and from Python wheels. What has not changed
    is not built again.
    """
    from harness.lifecycle.host import revision
    from harness.report.progress import ProgressView
    from harness.stack.images import NAMES, OPTIONAL, ImageError, build, deployment

    known = (*NAMES, *OPTIONAL)
    if unknown := sorted(set(names) - set(known)):
        raise CommandError(USAGE, f"no image {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        with ProgressView(quiet=as_json) as view:
            images = build(names or NAMES, base, tag, revision(deployment()).sha, view.say, view.progress)
    except ImageError as error:
        raise CommandError(NOT_STARTED, error) from error
    if as_json:
        emit({"images": [image.to_json() for image in images], "compose_file": str(deployment() / "compose.yaml")})
        return OK
    for image in images:
        click.echo(f"{_line(image)}  {f'built in {image.seconds:.1f} s' if image.seconds else 'unchanged'}")
    say(f"all of them together: docker compose -f {deployment() / 'compose.yaml'} up")
    return OK


@command("list")
@JSON
def list_images(as_json: bool) -> int:
    """List the images on the Docker engine that were built here."""
    from harness.stack.images import ImageError, listed

    try:
        images = listed()
    except ImageError as error:
        raise CommandError(NOT_STARTED, error) from error
    if as_json:
        emit({"images": [image.to_json() for image in images]})
    for image in images if not as_json else ():
        click.echo(_line(image))
    return OK


@command("prune")
@JSON
def prune_images(as_json: bool) -> int:
    """Remove images of earlier states of the sources, unless a container uses them."""
    from harness.stack.images import ImageError, prune

    try:
        removed = prune()
    except ImageError as error:
        raise CommandError(NOT_STARTED, error) from error
    if as_json:
        emit({"removed": removed})
    for reference in removed if not as_json else ():
        click.echo(reference)
    return OK


def _line(image: Built) -> str:
    return f"{image.reference:<44} {image.size_bytes / 1e6:6.1f} MB"


images = click.Group("images", commands=[build_images, list_images, prune_images], help="The container images of the reference stack.")
