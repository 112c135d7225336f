"""Breaks a RAG stack under load, scores service, alerts, diagnosis and recovery, and says whether the build may ship."""

__version__ = "0.1.0"
