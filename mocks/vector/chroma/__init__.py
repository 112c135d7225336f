"""Chroma's v2 REST API, as `chroma run` 1.5.9 answers it (its own `/version` says 1.0.0)."""
