"""The page of one fault."""

from __future__ import annotations

from harness.report.faults import page


def test_page_of_a_fault() -> None:
    document = {
        "name": "llm.slow_first_token", "summary": "The provider waits before the first token.", "kind": "latency", "benign": False,
        "targets": ["service"], "services": ["llm", "llm_fallback"], "needs": ["Programmable"], "recoverable_by": ["switch_provider"],
        "evidence": "the provider applied it to a request", "example": "- {id: slow-llm}\n",
        "parameters": [{"name": "ttft", "unit": "duration", "required": True, "default": None, "description": "time to first token"}],
    }  # fmt: skip
    assert page(document).splitlines() == [
        "llm.slow_first_token",
        "  The provider waits before the first token.",
        "",
        "target           service",
        "services         llm, llm_fallback",
        "right diagnosis  kind latency",
        "right action     switch_provider",
        "stack must be    Programmable",
        "evidence         the provider applied it to a request",
        "",
        "parameters",
        "  ttft           duration (required) time to first token",
        "",
        "example",
        "  - {id: slow-llm}",
    ]


def test_page_of_a_fault_that_nothing_heals() -> None:
    document = {
        "name": "network.latency", "summary": "Slow edge.", "kind": "network", "benign": False, "targets": ["edge"], "services": "any",
        "needs": [], "recoverable_by": [], "evidence": "round trip", "example": "- {}", "parameters": [],
    }  # fmt: skip
    text = page(document)
    assert "right action     no action heals it: escalate" in text
    assert "parameters       none" in text
