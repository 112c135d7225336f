"""Pure scorers: a history and a scenario in, check results out. No clock, no randomness, no files, no network."""
