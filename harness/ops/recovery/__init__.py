"""From causes to actions, behind guardrails."""
