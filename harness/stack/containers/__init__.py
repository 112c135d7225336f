"""The reference stack in Docker containers: `stack.ContainerStack`. The engine's API is spoken in `api` alone."""
