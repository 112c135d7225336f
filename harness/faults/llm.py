"""Faults of an LLM provider, played by its mock over an admin API that the stack cannot see."""

from __future__ import annotations

from harness.faults import llm_bodies, llm_errors, llm_legal, llm_meaning, llm_pace, llm_streams
from harness.faults.llm_probe import LlmProbe
from harness.faults.programmed.fault import fault_classes
from harness.faults.programmed.match import LlmMatch
from harness.faults.programmed.row import Family

SWITCHED_AWAY = ("switch_provider", "failover")
"""What helps when the provider is at fault: asking another."""

FAMILY = Family("llm", ("llm",), "llm", LlmMatch, LlmProbe, recoverable_by=SWITCHED_AWAY)
ROWS = (*llm_pace.ROWS, *llm_errors.ROWS, *llm_bodies.ROWS, *llm_streams.ROWS, *llm_meaning.ROWS, *llm_legal.ROWS)
FAULTS = fault_classes(FAMILY, ROWS)
