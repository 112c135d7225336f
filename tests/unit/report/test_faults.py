"""The page of one fault."""

from __future__ import annotations

from typing import Any

from harness.report.faults import index, listing, page


def test_page_of_a_fault() -> None:
    document = {
        "name": "llm.slow_first_token", "summary": "The provider waits before the first token.", "kind": "latency", "benign": False,
        "targets": ["service"], "services": ["llm", "llm_fallback"], "roles": "any", "needs": ["Programmable"], "either": [],
        "recoverable_by": ["switch_provider"],
        "stacks": {"processes": [], "containers": [], "external": ["Programmable"]},
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
        "stacks           processes, containers; external is not Programmable",
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
        "name": "network.latency", "summary": "Slow edge.", "kind": "network", "benign": False, "targets": ["edge"],
        "services": "any", "roles": ["postgres", "redis"], "needs": [], "either": ["Networked", "Proxied"], "stacks": {"processes": []},
        "recoverable_by": [], "evidence": "round trip", "example": "- {}", "parameters": [],
    }  # fmt: skip
    text = page(document)
    assert "services         any that speaks postgres or redis" in text
    assert "right action     no action heals it: escalate" in text
    assert "stack must be    Networked or Proxied" in text
    assert "parameters       none" in text


def fault(name: str, **fields: object) -> dict[str, Any]:
    family = name.partition(".")[0]
    known = {"name": name, "family": family, "summary": f"Does {name}.", "kind": "crash", "benign": False, "targets": ["service"]}
    rest = {
        "services": "any",
        "roles": "any",
        "needs": [],
        "either": [],
        "recoverable_by": ["restart"],
        "stacks": {"processes": [], "containers": []},
    }
    return {**known, **rest, **fields}


def test_the_index_lists_by_family_and_says_what_was_proved() -> None:
    faults = [
        fault("a.one"),
        fault("b.two", stacks={"processes": ["Networked"], "containers": []}),
        fault("a.three"),
        fault("a.four", benign=True),
    ]
    text = index(faults, {"a.one": {"processes": {"effective_s": 0.52, "gone_s": 1.0}}})
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## a", "## b", "## Proved"]
    assert text.index("a.one.md") < text.index("a.three.md") < text.index("b.two.md")
    assert text.splitlines()[-4:] == [
        "| a.one | effective 0.5 s, gone 1.0 s | not run yet |",
        "| b.two | cannot take it: not Networked | not run yet |",
        "| a.three | not run yet | not run yet |",
        "| a.four | a change, which stays | a change, which stays |",
    ]


def test_the_list_goes_by_family_and_each_line_says_who_can_take_it() -> None:
    faults = [fault("a.one", stacks={"processes": [], "external": ["Killable"]}), fault("a.two", stacks={"external": ["Killable"]})]
    assert [line.split() for line in listing(faults)] == [
        ["a", "(2)"],
        ["a.one", "Does", "a.one.", "[processes]"],
        ["a.two", "Does", "a.two.", "[no", "stack]"],
    ]
