"""The container images of the reference stack, built without a registry: `ensure` is what a driver of containers needs."""

from harness.stack.images.build import Built, build, ensure, listed, prune
from harness.stack.images.recipes import NAMES, OPTIONAL, REPOSITORY, ImageError, deployment

__all__ = ["NAMES", "OPTIONAL", "REPOSITORY", "Built", "ImageError", "build", "deployment", "ensure", "listed", "prune"]
