"""A game day: people watch a run, decide about its faults, and say what they see; all of it is in the record."""
