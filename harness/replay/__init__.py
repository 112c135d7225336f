"""Replay: what a run recorded of itself, shown to an operator on a fake clock; and what nobody notices when a part of it is missing."""
