"""The reference stack as services of a Docker swarm that runs already, over several engines."""
