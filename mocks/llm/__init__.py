"""A mock LLM provider: OpenAI-compatible chat and embeddings with programmable latency and faults."""
