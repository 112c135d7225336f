"""What every service of the reference stack shares: start-up, telemetry, discovery and calls to other services."""
