"""What the mock's model says: answers by strategy, in prose, as calls of tools, or as JSON."""
