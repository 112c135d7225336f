"""Faults that a mock plays: the table of those in force, when each applies, and the admin API that puts them there."""
