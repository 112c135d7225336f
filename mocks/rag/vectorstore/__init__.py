"""Where chunks are kept and found: pgvector, Qdrant or Chroma behind one interface."""
