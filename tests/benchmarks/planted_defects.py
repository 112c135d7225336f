"""Is each of twelve planted defects stopped by the right stage of a release pipeline, with the right message? And does a good one pass?

    python -m tests.benchmarks.planted_defects [--out DIR] [--only NAME…]

Each is planted in a clone of the commit that is checked out, whose pipeline `gauntlet pipeline run` carries out as a process of its own.
What is planted, and which words must be said, stands in `planted/defects.py`; which steps the pipeline has, in `planted/project.py`. It is
checked by its exit code, the step that stopped it, the words of its reason, that everything which needs that step did not run and says
why, and that no process, memory segment, container or directory is left. `none` is the control: all of the steps, and no defect.

`secret-in-image` and `none` need Docker, and the image that `gauntlet images build --only services` makes. Rows are kept below DIR, and
what was as it should be is not done again, so that the script goes on where it was broken off. At the end it prints the table, and exits
with 1 where one was not stopped at the right place, or is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.planted.defects import CONTROL, DEFECTS, Defect
from tests.benchmarks.planted.trial import carry_out, problems

ALL = {defect.name: defect for defect in (*DEFECTS, CONTROL)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/planted-defects"))
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL), metavar="NAME", help=", ".join(ALL))
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is told, and puts everything back
    wanted = [ALL[name] for name in options.only]
    for defect in wanted:
        before = row_of(options.out / defect.name)
        if before is not None and not problems(defect, before):
            continue
        print(f"{defect.name} …", flush=True)
        row = carry_out(defect, options.out / defect.name)
        (options.out / defect.name / "row.json").write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
        print(line(defect, row), flush=True)
    rows = {defect.name: row_of(options.out / defect.name) for defect in wanted}
    print("\n".join(table(wanted, rows)))
    return 0 if all(row is not None and not problems(ALL[name], row) for name, row in rows.items()) else 1


def row_of(directory: Path) -> dict[str, Any] | None:
    """What was found out before; None where nothing was."""
    try:
        found: dict[str, Any] = json.loads((directory / "row.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def line(defect: Defect, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return f"| {defect.name} | not tried | | |"
    by = ", ".join(row["stopped_by"]) or "nothing"
    wrong = problems(defect, row)
    mark = f" **WRONG: {'; '.join(wrong)}**" if wrong else ""
    whole_s = row["seconds"] or 0.0
    return f"| {defect.name} | {by} | {row['reason']}{mark} | {row['step_seconds'] or whole_s:.0f} s of {whole_s:.0f} s |"


def table(wanted: Sequence[Defect], rows: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """As Markdown, with how many are as they should be."""
    found = [(defect, rows[defect.name]) for defect in wanted]
    right = sum(row is not None and not problems(defect, row) for defect, row in found)
    head = ["| planted | stopped by | because | took |", "|---|---|---|---|"]
    return [*head, *(line(defect, row) for defect, row in found), "", f"{right} of {len(found)} as they should be"]


if __name__ == "__main__":
    sys.exit(main())
