"""What stands in for production: the reference RAG stack, the mock LLM and operators with known scores.

Nothing in here imports from `harness`; the harness starts it by command line, as it would any other system.
"""
