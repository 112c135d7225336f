"""Generation: answers questions from contexts through OpenAI-compatible providers, the preferred one first."""
