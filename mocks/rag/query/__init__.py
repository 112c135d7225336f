"""Query: embeds, retrieves, generates, and says honestly which path answered."""
