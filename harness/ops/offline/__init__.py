"""Detectors and diagnosis on exported files: no operator, no run, nothing but a table."""
