"""The gateway: the only service that clients talk to. Authentication, limits, routing, health."""
