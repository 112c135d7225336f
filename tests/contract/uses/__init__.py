"""One use of every fault of the catalogue, a file a family: what the contract tests inject. A new fault needs a row."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

USES: dict[str, dict[str, Any]] = {
    name: use for family in iter_modules(__path__) for name, use in import_module(f"{__name__}.{family.name}").USES.items()
}
