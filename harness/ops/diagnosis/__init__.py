"""From symptoms to causes, over the dependency graph."""
