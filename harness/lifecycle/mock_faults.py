"""What the mocks can be made to do: read from the page that they write of themselves (docs/mock-faults.md, docs/mock-vector-faults.md)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from harness.lifecycle.mock_documents import MockUsageError
from harness.lifecycle.mock_server import clean_environment

PAGES: Mapping[str, str] = {"llm": "mocks.llm.faults.reference", "vector": "mocks.vector.faults.reference"}
_DEADLINE_S = 30.0
_INDEX_ROW = re.compile(r"^\| \[`(\w+)`\]\(#\w+\) \| (.+) \|$", re.MULTILINE)
_SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class FaultPage:
    """Fault types by name: one line that says what a client sees, and what there is to know (Markdown)."""

    summaries: Mapping[str, str]
    sections: Mapping[str, str]


def fault_page(mock: str) -> FaultPage:
    """The page of `llm` or `vector`. Raises MockUsageError where what the mock needs is not installed."""
    command = (sys.executable, "-P", "-m", PAGES[mock], "/dev/stdout")
    try:
        done = subprocess.run(
            command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_DEADLINE_S, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise MockUsageError(f"the mock does not tell its faults within {_DEADLINE_S:g}s") from error
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().rpartition("\n")[2] or f"exit status {error.returncode}"
        raise MockUsageError(f"the mock does not tell its faults: {why}") from error
    summaries = {name: summary.replace("\\|", "|") for name, summary in _INDEX_ROW.findall(done.stdout)}
    return FaultPage(summaries, {name: text.strip() for name, text in _SECTION.findall(done.stdout)})
