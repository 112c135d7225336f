"""Mock vector services: Qdrant's and Chroma's REST interfaces over an exact index in memory."""
