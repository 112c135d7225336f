"""Is every part of a deployment well, asked once: `gauntlet health`."""
