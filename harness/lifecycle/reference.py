"""Pages of the documentation that follow from the code: `python -m harness.lifecycle.reference docs/faults` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.faults.registry import CATALOG, describe
from harness.report import faults
from harness.stack.catalog import STACKS

PROVED = "proved.json"
"""Beside the pages: what the contract test has proved, as that test writes it (`GAUNTLET_PROVED`)."""


def fault_pages(folder: Path) -> dict[str, str]:
    """The text of each page under docs/faults, which is `folder`, by file name."""
    described = [describe(spec, STACKS) for spec in CATALOG.values()]
    file = folder / PROVED
    proved = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {"README.md": faults.index(described, proved), **{f"{fault['name']}.md": faults.markdown(fault) for fault in described}}


def main(argv: Sequence[str]) -> int:
    """Write the pages into the folder, and remove those of faults that are no more."""
    folder = Path(argv[1])
    pages = fault_pages(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.md")) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
