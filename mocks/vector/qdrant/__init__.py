"""Qdrant's REST interface, as its clients call it."""
