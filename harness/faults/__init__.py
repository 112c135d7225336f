"""Faults whose truth is known: each is injected, proved to bite, healed and proved gone."""
