"""Commands about the reference stack on Kubernetes."""

from __future__ import annotations

import click

from harness.commands.console import CommandError, command
from harness.lifecycle.exit_codes import OK, USAGE


@command("render")
@click.option("--namespace", default="rag", show_default=True, metavar="NAME", help="Where everything goes.")
@click.option(
    "--images",
    default="rag-gauntlet/{image}:latest",
    show_default=True,
    metavar="REFERENCE",
    help="How nodes call an image of `gauntlet images list`, whose name stands for {image}.",
)
@click.option("--replicas", multiple=True, metavar="SERVICE=N", help="How many pods of a service there are at least; may be repeated.")
@click.option("--vector-store", type=click.Choice(["pgvector", "qdrant", "chroma"]), default="pgvector", show_default=True)
def render_manifests(namespace: str, images: str, replicas: tuple[str, ...], vector_store: str) -> int:
    """Print the manifests of the reference stack, for `kubectl apply --filename -`.

    Its secret is not among them: the first lines say how to make it. Nothing is asked of any cluster.
    """
    from harness.stack.kubernetes.manifests import as_yaml
    from harness.stack.kubernetes.release import Release

    try:
        release = Release(namespace, images, dict(map(_replicas, replicas)), vector_store)  # type: ignore[arg-type]  # one of the choices
    except ValueError as error:
        raise CommandError(USAGE, f"gauntlet: {error}") from error
    click.echo(as_yaml(release), nl=False)
    return OK


def _replicas(text: str) -> tuple[str, int]:
    service, _, number = text.partition("=")
    if not number.isdecimal():
        raise ValueError(f"--replicas {text!r} is no number of a service's pods; write, e.g., --replicas retrieval=3")
    return service, int(number)


kubernetes = click.Group("kubernetes", commands=[render_manifests], help="The reference stack on Kubernetes (not verified on a cluster).")
