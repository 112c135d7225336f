"""The container images of the reference stack, built without a registry: `ensure` is what a driver of containers needs."""

from harness.stack.images.build import Built, build, ensure, listed
from harness.stack.images.recipes import NAMES, REPOSITORY, ImageError

__all__ = ["NAMES", "REPOSITORY", "Built", "ImageError", "build", "ensure", "listed"]
