"""Text as the database can keep it."""

from __future__ import annotations


def storable(text: str) -> str:
    """`text` without NUL, which PostgreSQL's text type cannot hold, and with `?` for lone surrogates, which UTF-8 cannot."""
    return text.encode(errors="replace").decode().replace("\x00", "")
