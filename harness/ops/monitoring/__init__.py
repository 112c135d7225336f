"""From telemetry to alerts: scrape and probe, derive signals over windows, apply rules."""
