"""The client report as people read it."""

from __future__ import annotations

import io

from rich.console import Console

from harness.report.clients import lines, show
from harness.score.clients import ClientReport, grade
from tests.journal_builder import journal

NEVER_TRIED = "retried_non_retryable, truncated_stream_accepted, no_backoff, no_read_timeout, malformed_chunk_ignored"


def report() -> ClientReport:
    return grade(
        journal("0s 429 told=2 account=a", "0.5s 429 told=2 account=a", "3s 200 account=a", "0s 500 agent=evil\x1b[31m/9 body=c"),
        missing=["llm: 3 rows had been forgotten"],
    )


def test_plain_text() -> None:
    assert list(lines(report())) == [
        "FAIL: retry_after_ignored by client/1 (a): told to wait 2s, came back after 0.49s (and 1 more)",
        "- FAIL retry_after_ignored: client/1 (a), 1 of 2 times: told to wait 2s, came back after 0.49s",
        "    llm #1 429, #2 429, POST /v1/chat/completions at 0.00s: told to wait 2s, came back after 0.49s",
        "- INCONCLUSIVE gave_up: evil [31m/9, 1 of 1 times: no attempt followed after 1 attempt, the last of which got 500",
        "    llm #4 500, POST /v1/chat/completions at 0.00s: no attempt followed after 1 attempt, the last of which got 500",
        "client/1 (a): 3 attempts in 1 call (1 served); 3 attempts a call that met trouble, 3 at most; Retry-After kept 50% of 2 times",
        "evil [31m/9: 1 attempt in 1 call (1 refused for now); 1 attempts a call that met trouble, 1 at most",
        "missing: llm: 3 rows had been forgotten",
        f"occasions: retry_after_ignored 2, retry_storm 2, gave_up 2; never tried: {NEVER_TRIED}",
    ]


def shown(terminal: bool) -> str:
    out = io.StringIO()
    show(report(), Console(file=out, force_terminal=terminal, width=200, highlight=False, color_system=None))
    return out.getvalue()


def test_where_nobody_looks_it_is_plain() -> None:
    assert shown(terminal=False) == "".join(f"{line}\n" for line in lines(report()))


def test_at_a_terminal_it_is_a_table() -> None:
    text = shown(terminal=True)
    assert "told to wait 2s, came back after 0.49s" in text
    assert "1 of 2" in text
    assert "never tried: retried_non_retryable" in text
    assert "\x1b[31m/9" not in text
