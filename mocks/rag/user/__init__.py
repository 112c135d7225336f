"""The user service: keys, plans, quotas and usage by the hour."""
