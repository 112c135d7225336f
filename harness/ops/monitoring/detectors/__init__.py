"""Streaming detectors: each takes one value at a time and says at once how anomalous it is, in [0, 1]."""
