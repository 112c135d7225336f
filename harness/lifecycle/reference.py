"""Pages of the documentation that follow from the code: `python -m harness.lifecycle.reference docs/faults` writes them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.faults.registry import CATALOG, describe
from harness.report import faults


def fault_pages() -> dict[str, str]:
    """The text of each file under docs/faults, by file name."""
    described = [describe(spec) for spec in CATALOG.values()]
    return {"README.md": faults.index(described), **{f"{fault['name']}.md": faults.markdown(fault) for fault in described}}


def main(argv: Sequence[str]) -> int:
    """Write the pages into the folder, and remove those of faults that are no more."""
    folder, pages = Path(argv[1]), fault_pages()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.md")) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
