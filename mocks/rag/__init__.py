"""The reference RAG stack: small ASGI services, each its own process (docs/reference-stack.md)."""
