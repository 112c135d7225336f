"""An OpenAI-compatible mock of an LLM provider, with programmable latency and faults."""
