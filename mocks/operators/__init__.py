"""Operators with known scores: they test the scorers. Each plays a script that a test writes."""
