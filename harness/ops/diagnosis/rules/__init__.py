"""What each family of faults looks like in telemetry: one module a family, each a rule over successive rounds."""
