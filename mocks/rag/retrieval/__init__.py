"""Retrieval: finds the chunks for a question, by vector or by words, behind two cache tiers."""
