"""Faults that a mock plays by itself, on a word over its admin API: how they are described, set, proved and taken back."""
